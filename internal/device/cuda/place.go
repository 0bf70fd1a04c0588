package cuda

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// workspace is the part of an arena that is not for values: page tables,
// constants and inputs, and the kernels' scratch memory. Tables and constants
// stay there until another run has had the arena. Offsets are in bytes from its
// beginning.
type workspace struct {
	tables  []int // by state that may have several pages; the room ends at the next one
	brought []int // by the code's list
	// Small values are copied together, the tables and constants up to inputs
	// only when they are not there.
	inputs, small int
	scratch       int
	stale         bool // tables and constants are not there
	moved         bool // since the values were placed
}

func (w *workspace) init(c *code) {
	w.tables, w.brought = make([]int, len(c.prog.Plan().States)+1), make([]int, len(c.brought))
}

const (
	// smallValue is the size up to which values of this process are copied
	// together, in bytes.
	smallValue = 4 << 10
	// tableStep is the number of pages by which page tables grow.
	tableStep = 32
	// scratchAlign is the alignment of the kernels' scratch memory.
	scratchAlign = 256
)

// Workspaces implements [device.Run]: all lanes are one, since groups are
// launched in order.
func (r *run) Workspaces(need []int) {
	clear(need)
	w, c := &r.space, r.code
	at := 0
	for i := range r.states {
		w.setTable(i, at)
		if r.prog.Paged[i] {
			st := &r.prog.Plan().States[i]
			pages := (r.bound.Shape(st.Out)[st.Axis] + pageRows - 1) / pageRows
			at += 8 * tableStep * ((pages + tableStep) / tableStep)
		}
	}
	w.setTable(len(r.states), at)
	at = program.Align(at)
	at = r.placeValues(0, c.inputs, true, at)
	w.inputs = at
	at = r.placeValues(c.inputs, len(c.brought), true, at)
	w.small = at
	at = r.placeValues(0, len(c.brought), false, at)
	w.scratch = (at + scratchAlign - 1) &^ (scratchAlign - 1)
	most := r.outputScratch()
	for _, i := range c.worked {
		g := &r.groups[i]
		most = max(most, workspaceOf(g.of, g.op)(r, g))
	}
	need[0] = w.scratch + most
}

func (w *workspace) setTable(i, at int) {
	w.moved = w.moved || w.tables[i] != at
	w.tables[i] = at
}

// placeValues gives the small or the large ones of some values their places from
// offset at on, and returns the end.
func (r *run) placeValues(from, to int, small bool, at int) int {
	for k, v := range r.code.brought[from:to] {
		if n := r.bound.Bytes(v); n <= smallValue == small {
			// A large constant comes after the small inputs, whose sizes change.
			r.space.moved = r.space.moved || from+k < r.code.inputs && r.space.brought[from+k] != at
			r.space.brought[from+k] = at
			at += program.Align(n)
		}
	}
	return at
}

// outputScratch is the memory for the copy of an output with gaps.
func (r *run) outputScratch() (most int) {
	for _, o := range r.prog.Plan().Outputs {
		if o.Place == plan.Download && !r.bound.Contiguous(o.Value) {
			most = max(most, r.bound.Bytes(o.Value))
		}
	}
	return most
}

// address is the address of a part of the workspace.
func (r *run) address(off int) driver.Ptr {
	return r.arena.at + driver.Ptr(r.bound.Workspaces[0].Off+off)
}

// scratch is the address of the kernels' scratch memory.
func (r *run) scratch() driver.Ptr { return r.address(r.space.scratch) }

// Place implements [device.Run]: all values when the arena differs from that of
// the last run, else only what changed.
func (r *run) Place(p device.Placement) error {
	copy(r.inputs, p.Inputs)
	r.uploaded = false
	for i := range r.fetched {
		r.fetched[i].valid = false
	}
	arena, w := p.Arena.(*buffer), &r.space
	all := arena != r.arena || w.moved
	w.stale = w.stale || all || p.Moved || arena.owner != r.id
	if arena.owner != r.id {
		arena.owner = 0
	}
	r.arena = nil // until everything is placed
	if all || p.Moved {
		for i := range p.States {
			if err := r.placeState(i, &p.States[i]); err != nil {
				return err
			}
		}
	}
	r.arena = arena
	r.placeBrought()
	if all {
		r.placeAll(r.prog.Order)
		w.moved = false
		return nil
	}
	r.placeAll(r.prog.OfInput)
	for i, views := range r.prog.ViewsOf {
		if p.Changed>>i&1 != 0 {
			r.placeAll(views)
		}
	}
	if p.Moved {
		r.placeAll(r.prog.OfState)
	}
	return nil
}

// placeState lists the pages of a state.
func (r *run) placeState(i int, at *device.Pages) error {
	s := &r.states[i]
	s.at, s.rows = s.at[:0], at.Rows
	for _, b := range at.Buffers {
		page := driver.Ptr(0) // none if no group of this device uses the state
		if b != nil {
			page = b.(*buffer).at
		}
		s.at = append(s.at, page)
	}
	if room := (r.space.tables[i+1] - r.space.tables[i]) / 8; len(s.at) > 1 && len(s.at) > room {
		return fmt.Errorf("%w: state %d has %d pages, the table has room for %d", transport.ErrInternal, i, len(s.at), room)
	}
	return nil
}

// first is the first page, which is the whole of a state in one piece.
func (s *pages) first() driver.Ptr {
	if len(s.at) == 0 {
		return 0
	}
	return s.at[0]
}

// placeBrought places the values that come from this process, and page tables.
func (r *run) placeBrought() {
	for k, v := range r.code.brought {
		r.tensors[v].At = r.address(r.space.brought[k])
	}
	for i, in := range r.prog.Plan().Inputs {
		if b := r.inputs[i].Buffer; b != nil {
			r.tensors[in.Value].At = b.(*buffer).at
		}
	}
	for i := range r.states {
		if s := &r.states[i]; len(s.at) > 1 {
			s.table = r.address(r.space.tables[i])
		} else {
			s.table = 0
		}
	}
}

// placeAll gives each value the address of its first element;
// [program.Bound.CheckViews] has ensured that its last element is within its
// base's memory.
func (r *run) placeAll(values []int) {
	for _, v := range values {
		p, t := &r.prog.Places[v], &r.tensors[v]
		switch {
		case int(p.Base) != v:
			t.At = r.tensors[p.Base].At + driver.Ptr(r.bound.Dims[p.Offset][0]*int(p.Size))
		case p.State >= 0:
			t.At = r.states[p.State].first()
		case p.Kind == plan.KindWeight:
			if w := r.weights[v]; w != nil && !r.code.packed(v) {
				t.At = w.at
			}
		case p.Kind == plan.KindTemp:
			t.At = r.arena.at + driver.Ptr(r.bound.Buffers[p.Buffer].Off)
		}
	}
}
