package engine

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A call takes all its memory at once, before any of it is allocated: what its
// states grow by, its arena, its outputs. First it asks for room to grow, too,
// and where that is refused for what it needs now.

// growth is a state that a call makes larger.
type growth struct {
	index    int // of the plan's states
	st       *state
	rows     int // positions along the appended axis
	least    int // bytes without room to grow
	capacity int // positions
	size     int // bytes
}

// firstRoom is how many positions a state has room for beyond those of the run
// that begins it.
const firstRoom = 64

// outgrows reports whether a state must grow for rows positions, or for a new
// value of another size, and lists it if so.
func (b *binding) outgrows(s *Session, i int, st *state, rows int) (bool, error) {
	g := growth{index: i, st: st, rows: rows}
	if st.axis >= 0 && st.capacity > 0 && rows <= st.capacity {
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
	if st.axis < 0 && n <= st.size() {
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

// choose sets capacity and size: with room to grow, so that a sequence of
// appends copies each row a constant number of times, or without.
func (g *growth) choose(room bool, limit int64) {
	st := g.st
	g.capacity, g.size = 1, g.least
	switch {
	case st.axis >= 0:
		g.capacity = g.rows
		if !room {
			return
		}
		more := 2 * g.rows
		if st.capacity == 0 {
			more = g.rows + firstRoom
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
	c, e := &b.call, s.e
	c.arena, _ = e.arenas.take(max(b.bound.Total, 1))
	if c.arena != nil && len(b.growing) == 0 && !b.prog.Retains {
		return nil
	}
	var amounts budget.Amounts
	c.spare, c.keeping, c.growing, c.grown = 0, 0, 0, 0
	spare, keeping := b.outputBytes(e)
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
			g.choose(room == 0, e.opts.MaxScratch)
			amounts[budget.State] += int64(g.size)
			grown += int64(g.size - g.st.size())
		}
		if err = s.account.Take(grown + keeping); err != nil {
			continue
		}
		if err = e.account.ReserveAll(amounts, b.purpose(&amounts)); err != nil {
			s.account.Give(grown + keeping)
			continue
		}
		if arena > 0 {
			if c.arena, err = e.arenas.mapped(arena); err != nil {
				amounts[budget.Scratch] -= int64(arena)
				e.account.ReleaseAll(amounts)
				s.account.Give(grown + keeping)
				return err
			}
		}
		c.spare, c.keeping, c.growing, c.grown = spare, keeping, amounts[budget.State], grown
		return nil
	}
	if c.arena != nil {
		e.arenas.put(c.arena)
		c.arena = nil
	}
	return err
}

// purpose says what most of the memory is for.
func (b *binding) purpose(a *budget.Amounts) string {
	switch {
	case a[budget.State] >= a[budget.Scratch] && a[budget.State] >= a[budget.Retained]:
		return "the state of the session"
	case a[budget.Retained] > a[budget.Scratch]:
		return "outputs that stay with the session"
	}
	return "scratch of the run"
}

// outputBytes is the memory of outputs outside the arena: of copies that are
// made for the answer, and of values that are kept.
func (b *binding) outputBytes(e *Engine) (spare, keeping int64) {
	for _, o := range b.prog.Plan().Outputs {
		p := &b.prog.Places[o.Value]
		switch n := int64(b.bound.Bytes(o.Value)); {
		case o.Place == plan.Retain:
			keeping += n + keptHead
		case !e.device.Info().HostAddressable || b.prog.Places[p.Base].State >= 0 || !b.bound.Contiguous(o.Value):
			spare += n
		}
	}
	return spare, keeping
}

// growStates gives the states their memory, which has been reserved. When ctx ends
// the states that have not got it stay as they were.
func (b *binding) growStates(ctx context.Context, s *Session) error {
	h := device.HaltOn(ctx)
	for i := range b.growing {
		if err := b.grow(ctx, s, &b.growing[i], h); err != nil {
			return err
		}
	}
	return nil
}

// grow moves a state to larger memory. What was reserved for it is then the
// state's, and the call's until then.
func (b *binding) grow(ctx context.Context, s *Session, g *growth, h halt.Func) error {
	st := g.st
	mem, err := s.e.device.Alloc(ctx, device.UseState, g.size)
	if err != nil {
		return err
	}
	moved := false
	defer func() {
		if !moved {
			s.e.device.Free(device.UseState, mem)
		}
	}()
	s.e.fault("grow")
	from := device.State{DType: st.dtype, Shape: st.shape, Axis: st.axis, Capacity: st.capacity}
	if err := s.e.device.CopyState(mem, g.capacity, st.mem, from, h); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return device.Stopped(ctx)
	}
	moved = true
	b.call.growing -= int64(g.size)
	b.call.grown -= int64(g.size - st.size())
	st.capacity = g.capacity
	s.resize(st, mem)
	s.states[st.name] = st
	b.sees(g.index, st)
	return nil
}
