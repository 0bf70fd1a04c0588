package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A call takes all its memory at once, before any of it is allocated: the
// growth of its states, its arena, its outputs. It first requests room to grow
// as well; if that is refused, only what it needs now.

// growth describes a state that a call makes larger, or whose pages it may not
// write to.
type growth struct {
	index    int // of the plan's states
	st       *state
	rows     int  // positions along the appended axis
	least    int  // bytes in one page without room to grow
	paged    bool // it may have several pages
	first    int  // page that is written to
	keep     int  // pages that stay unchanged
	pages    int  // pages that are added
	capacity int  // positions of each
	size     int  // bytes of each
}

// added is the added memory, and dropped the memory that the session releases
// for it.
func (g *growth) added() int   { return g.pages * g.size }
func (g *growth) dropped() int { return pagesSize(g.st.pages[g.keep:]) }

// firstRoom is the number of positions that a new state has room for beyond
// those of its first run.
const firstRoom = 64

// outgrows reports whether a state must grow for rows positions, or for a new
// value of another size, or has pages that the call may not write to, and lists it if
// so.
func (b *binding) outgrows(s *Session, i int, st *state, rows int) (bool, error) {
	g := growth{index: i, st: st, rows: rows, first: st.written(), paged: b.prog.Paged[i] && s.on.pageRows > 0}
	if st.axis >= 0 && st.capacity > 0 && rows <= st.room() && (g.paged || len(st.pages) == 1) && !st.sharedFrom(st.written()) {
		return false, nil
	}
	n, err := st.bytes(rows, s.e.opts.MaxScratch)
	if err != nil {
		return false, err
	}
	d := &b.prog.Plan().States[i]
	if d.Mode == plan.StateReplace {
		n = max(n, b.bound.Bytes(d.Out))
	}
	if st.axis < 0 && n <= st.size() && len(st.pages) == 1 && !st.sharedFrom(0) {
		return false, nil
	}
	g.least = n
	b.growing = append(b.growing, g)
	return true, nil
}

// bytes is the size of a state with room for capacity positions.
func (st *state) bytes(capacity int, limit int64) (int, error) {
	size := int64(st.dtype.Size())
	for i, n := range st.shape {
		if i == st.axis {
			n = capacity
		}
		var ok bool
		if size, ok = plan.MulChecked(size, int64(n)); !ok || size > limit {
			return 0, fmt.Errorf("%w: state %q of %v%v is more than %d bytes", transport.ErrLimit, st.name, st.dtype, st.shape, limit)
		}
	}
	return int(size), nil
}

// choose decides which pages are added. A state begins in one page that grows,
// so that a sequence of appends copies each row a constant number of times.
// From pageRows positions on it has pages of that size, where its plan allows
// several, and no row is copied any more. room is for future positions.
func (g *growth) choose(room bool, pageRows int, limit int64) {
	st := g.st
	g.keep, g.pages, g.capacity, g.size = 0, 1, 1, g.least
	switch {
	case st.axis >= 0 && g.paged && g.rows > pageRows:
		if st.capacity == pageRows {
			for g.keep = min(g.first, len(st.pages)); g.keep < len(st.pages) && st.pages[g.keep].refs.Load() == 1; {
				g.keep++
			}
		}
		g.capacity = pageRows
		g.pages = (g.rows+pageRows-1)/pageRows - g.keep
		g.size, _ = st.bytes(pageRows, limit) // less than for all rows
	case st.axis >= 0:
		g.capacity = g.rows
		if !room {
			return
		}
		more := 2 * g.rows
		if st.capacity == 0 {
			more = g.rows + firstRoom
		}
		if g.paged {
			more = min(more, pageRows)
		}
		if n, err := st.bytes(more, limit); err == nil {
			g.capacity, g.size = more, n
		}
	case room && st.size() > 0:
		g.size += g.size / 4
	}
}

// takeMemory reserves what the call needs and takes its arena. When it fails
// nothing has changed.
func (b *binding) takeMemory(s *Session) error {
	c, e, on := &b.call, s.e, s.on
	c.arena, _ = on.arenas.take(max(b.bound.Total, 1))
	if c.arena != nil && len(b.growing) == 0 && !b.prog.Retains && !slices.Contains(b.prog.crossed, true) {
		return nil
	}
	var amounts budget.Amounts
	c.spare, c.keeping, c.growing, c.grown = 0, 0, 0, 0
	spare, keeping := b.outputBytes(on)
	var err error
	for room := range 2 {
		amounts = budget.Amounts{budget.Retained: keeping, budget.Scratch: spare}
		arena := 0
		if c.arena == nil {
			arena = arenaSizes(max(b.bound.Total, 1))[room]
			amounts[budget.Scratch] += int64(arena)
		}
		grown := int64(0)
		for i := range b.growing {
			g := &b.growing[i]
			g.choose(room == 0, on.pageRows, e.opts.MaxScratch)
			amounts[budget.State] += int64(g.added())
			grown += int64(g.added() - g.dropped())
		}
		if err = s.budget.Take(grown + keeping); err != nil {
			continue
		}
		if err = e.budget.ReserveAll(amounts, b.purpose(&amounts)); err != nil {
			s.budget.Give(grown + keeping)
			continue
		}
		if arena > 0 {
			if c.arena, err = on.arenas.mapped(arena); err != nil {
				amounts[budget.Scratch] -= int64(arena)
				e.budget.ReleaseAll(amounts)
				s.budget.Give(grown + keeping)
				return err
			}
		}
		c.spare, c.keeping, c.growing, c.grown = spare, keeping, amounts[budget.State], grown
		return nil
	}
	if c.arena != nil {
		on.arenas.put(c.arena)
		c.arena = nil
	}
	return err
}

// purpose names the main use of the memory.
func (b *binding) purpose(a *budget.Amounts) string {
	switch {
	case a[budget.State] >= a[budget.Scratch] && a[budget.State] >= a[budget.Retained]:
		return "the state of the session"
	case a[budget.Retained] > a[budget.Scratch]:
		return "outputs that stay with the session"
	}
	return "scratch of the run"
}

// outputBytes is the memory of outputs outside the arena: of copies for the
// answer or on the way to a state, and of retained values.
func (b *binding) outputBytes(on *incarnation) (spare, keeping int64) {
	for _, o := range b.prog.Plan().Outputs {
		p := &b.prog.Places[o.Value]
		switch n := int64(b.bound.Bytes(o.Value)); {
		case o.Place == plan.Retain:
			keeping += n + keptHead
		case !on.addressable || b.prog.Places[p.Base].State >= 0 || !b.bound.Contiguous(o.Value):
			spare += n
		}
	}
	for i, crossed := range b.prog.crossed {
		if crossed {
			spare += int64(b.bound.Bytes(b.prog.Plan().States[i].Out))
		}
	}
	return spare, keeping
}

// growStates gives the states their reserved memory. When ctx ends the
// remaining states stay unchanged.
func (b *binding) growStates(ctx context.Context, s *Session) error {
	h := device.HaltOn(ctx)
	for i := range b.growing {
		if err := b.grow(ctx, s, &b.growing[i], h); err != nil {
			return err
		}
	}
	return nil
}

// grow adds pages to a state, and moves the content of the pages that it drops.
// What was reserved for them then belongs to the state, and until then to the
// call.
func (b *binding) grow(ctx context.Context, s *Session, g *growth, h halt.Func) error {
	gone := g.dropped()
	if err := s.extend(ctx, g, h); err != nil {
		return err
	}
	b.call.growing -= int64(g.added())
	b.call.grown -= int64(g.added() - gone)
	s.states[g.st.name] = g.st
	b.sees(g.index, g.st)
	return nil
}

// extend adds the pages of a growth, whose memory is reserved, and moves the content
// of the pages that it drops. When it fails the state is as before.
func (s *Session) extend(ctx context.Context, g *growth, h halt.Func) error {
	more := make([]*page, 0, g.pages)
	moved := false
	defer func() {
		if !moved {
			for _, p := range more {
				s.on.device.Free(device.UseState, p.mem)
			}
		}
	}()
	for range g.pages {
		mem, err := s.on.device.Alloc(ctx, device.UseState, g.size)
		if err != nil {
			return err
		}
		p := &page{mem: mem}
		p.refs.Store(1)
		more = append(more, p)
	}
	s.e.fault("grow")
	if err := g.move(s.on, more, h); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return device.Stopped(ctx)
	}
	moved = true
	g.st.capacity = g.capacity
	s.replacePages(g.st, g.keep, more)
	return nil
}

// move copies the content of the dropped pages to the added ones.
func (g *growth) move(on *incarnation, more []*page, h halt.Func) error {
	st := g.st
	spec := device.State{DType: st.dtype, Shape: st.shape, Axis: st.axis}
	if len(st.pages) == g.keep || len(more) == 0 {
		return nil
	}
	if st.axis < 0 {
		return on.device.CopyRows(device.Piece{Buffer: more[0].mem}, 0, st.piece(0), 0, 1, spec, h)
	}
	valid := st.shape[st.axis]
	for at := g.keep * st.capacity; at < valid; {
		from, to := at%st.capacity, (at-g.keep*g.capacity)%g.capacity
		n := min(valid-at, st.capacity-from, g.capacity-to)
		dst := device.Piece{Buffer: more[(at-g.keep*g.capacity)/g.capacity].mem, Positions: g.capacity}
		if err := on.device.CopyRows(dst, to, st.piece(at/st.capacity), from, n, spec, h); err != nil || h.Now() {
			return err
		}
		at += n
	}
	return nil
}
