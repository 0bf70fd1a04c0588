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

// Departing is a value that leaves a session: it is not freed until Close, even
// if the session releases it.
type Departing struct {
	s *Session
	k *retained
}

// Depart holds a retained value.
func (s *Session) Depart(h transport.Handle) (*Departing, error) {
	k, _, err := s.use(h)
	if err != nil {
		return nil, err
	}
	return &Departing{s, k}, nil
}

// DepartRows copies rows start to stop, along an axis, of carried state; with axis
// -1 the whole state. It waits for the session's running call. The copy counts
// with the session's retained values until Close.
func (s *Session) DepartRows(ctx context.Context, name string, axis, start, stop int) (d *Departing, err error) {
	s.run.Lock()
	defer s.run.Unlock()
	defer s.guard(&err)
	st, err := s.stateOf(name)
	if err != nil {
		return nil, err
	}
	if st.axis >= 0 && axis != st.axis || axis >= len(st.shape) || axis < -1 {
		return nil, fmt.Errorf("%w: rows along axis %d of %q, which grows along %d", transport.ErrShape, axis, name, st.axis)
	}
	shape, along := slices.Clone(st.shape), st.rowAxis(axis)
	switch {
	case axis < 0:
		start, stop = 0, positions(shape, along)
	case start < 0 || start > stop || stop > shape[axis]:
		return nil, fmt.Errorf("%w: rows %d to %d of %q, which has %d", transport.ErrShape, start, stop, name, shape[axis])
	default:
		shape[axis] = stop - start
	}
	spec := transport.TicketSpec{DType: st.dtype, Shape: shape}
	n, err := spec.Size()
	if err != nil {
		return nil, err
	}
	k, err := s.allocate(ctx, spec, int(n), "rows of carried state on their way out")
	if err != nil {
		return nil, err
	}
	k.users, k.gone = 1, true // Close frees it
	d, out := &Departing{s, k}, false
	defer func() {
		if !out {
			d.Close()
		}
	}()
	if err := s.copyOut(ctx, st, k, along, start, stop); err != nil {
		return nil, err
	}
	out = true
	return d, nil
}

// copyOut copies rows of a state to a value.
func (s *Session) copyOut(ctx context.Context, st *state, k *retained, along, start, stop int) error {
	if k.n == 0 {
		return nil
	}
	if err := s.on.enter(); err != nil {
		return s.on.gone()
	}
	defer s.on.leave()
	dst := device.Piece{Buffer: k.mem, Positions: stop - start}
	return st.eachPiece(along, start, stop, func(p device.Piece, from, at, n int) error {
		if err := s.on.device.CopyRows(dst, at-start, p, from, n, st.spec(along), device.HaltOn(ctx)); err != nil {
			return err
		}
		return stoppedBy(ctx)
	})
}

func stoppedBy(ctx context.Context) error {
	if ctx.Err() != nil {
		return device.Stopped(ctx)
	}
	return nil
}

// stateOf finds a state that is not lost.
func (s *Session) stateOf(name string) (*state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	st := s.states[name]
	if st == nil {
		return nil, fmt.Errorf("%w: the session has no state %.80q", transport.ErrState, name)
	}
	if st.lost {
		return nil, lostState(name)
	}
	return st, nil
}

// lostState is the error of a use of a state that is lost.
func lostState(name string) error {
	return fmt.Errorf("%w: %q was lost when a run was cut short; reset the session", transport.ErrState, name)
}

// rowAxis is the axis along which rows are copied: that of the rows, or any for
// all of them.
func (st *state) rowAxis(axis int) int { return max(axis, 0) }

// spec describes the state to the device, rows being along an axis. A scalar is a
// row.
func (st *state) spec(along int) device.State {
	if len(st.shape) == 0 {
		return device.State{DType: st.dtype, Shape: []int{1}}
	}
	return device.State{DType: st.dtype, Shape: st.shape, Axis: along}
}

// positions is the extent of an axis; a scalar has one.
func positions(shape []int, axis int) int {
	if len(shape) == 0 {
		return 1
	}
	return shape[axis]
}

// eachPiece calls f for the parts of rows start to stop that are in one page: n
// rows from row at on, which begin at position from of the page.
func (st *state) eachPiece(along, start, stop int, f func(p device.Piece, from, at, n int) error) error {
	if st.axis < 0 {
		return f(device.Piece{Buffer: st.pages[0].mem, Positions: positions(st.shape, along)}, start, start, stop-start)
	}
	for at := start; at < stop; {
		from := at % st.capacity
		n := min(stop-at, st.capacity-from)
		if err := f(st.piece(at/st.capacity), from, at, n); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// Tensor is the value. Its bytes must not be changed, and are valid until Close.
func (d *Departing) Tensor() (transport.Tensor, error) {
	s := d.s
	if err := s.on.enter(); err != nil {
		return transport.Tensor{}, s.on.gone()
	}
	defer s.on.leave()
	data := s.hostOf(d.k)
	if data == nil {
		var err error
		if data, err = s.hostBytes(d.k); err != nil {
			return transport.Tensor{}, err
		}
	}
	return transport.Tensor{DType: d.k.dtype, Shape: d.k.shape, Data: data}, nil
}

func (s *Session) hostOf(k *retained) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return k.host
}

// Close lets the value go.
func (d *Departing) Close() { d.s.unuse(d.k) }

// putRows puts rows that have arrived into their state.
func (s *Session) putRows(ctx context.Context, a *Arriving) (err error) {
	s.run.Lock()
	defer s.run.Unlock()
	defer s.guard(&err)
	if err := s.on.enter(); err != nil {
		return s.on.gone()
	}
	defer s.on.leave()
	st, err := s.stateFor(&a.spec)
	if err != nil {
		return err
	}
	along := st.rowAxis(a.spec.Axis)
	start, n := a.spec.Start, positions(a.spec.Shape, along)
	h := device.HaltOn(ctx)
	if err := s.makeRoom(ctx, st, start, start+n, h); err != nil {
		return err
	}
	if a.k.n > 0 {
		src := device.Piece{Buffer: a.k.mem, Positions: n}
		err := st.eachPiece(along, start, start+n, func(p device.Piece, from, at, n int) error {
			// Without a halt: rows that are overwritten in part would be neither.
			return s.on.device.CopyRows(p, from, src, at-start, n, st.spec(along), nil)
		})
		if err != nil {
			s.overwritten(st, start)
			return err
		}
	}
	s.grown(st, start+n)
	return nil
}

// overwritten marks a state as lost when the copy of rows failed that replace rows of
// it, from start on.
func (s *Session) overwritten(st *state, start int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.axis < 0 || start < st.shape[st.axis] {
		st.lost = s.states[st.name] == st
	}
}

// grown makes the rows a part of the state, which may be new.
func (s *Session) grown(st *state, rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.axis >= 0 {
		st.shape[st.axis] = max(st.shape[st.axis], rows)
	}
	if s.states[st.name] != st {
		s.states[st.name] = st
	}
	s.resets++ // bindings look the states up again
}

// stateFor finds the state that a ticket is for, or makes it, and checks that the
// rows fit.
func (s *Session) stateFor(spec *transport.TicketSpec) (*state, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return nil, err
	}
	mode := spec.Mode
	if mode == 0 {
		mode = plan.StateAppend
	}
	st := s.states[spec.State]
	if st == nil {
		if mode != plan.StateAppend && spec.Axis >= 0 {
			return nil, fmt.Errorf("%w: rows of %q, which the session does not have", transport.ErrState, spec.State)
		}
		st = s.newState(&plan.State{Name: spec.State, Mode: mode, Axis: spec.Axis}, spec.DType, spec.Shape)
	}
	axis := st.axis
	if axis < 0 {
		axis = spec.Axis
	}
	same := st.mode == mode && st.dtype == spec.DType && len(st.shape) == len(spec.Shape) && axis == spec.Axis
	for i := 0; same && i < len(st.shape); i++ {
		same = i == axis || st.shape[i] == spec.Shape[i]
	}
	switch {
	case st.lost:
		return nil, lostState(st.name)
	case !same:
		return nil, fmt.Errorf("%w: %q is %v%v (%v), the rows are %v%v (%v) along axis %d",
			transport.ErrState, st.name, st.dtype, st.shape, st.mode, spec.DType, spec.Shape, mode, spec.Axis)
	case st.axis >= 0 && spec.Start > st.shape[axis]:
		return nil, fmt.Errorf("%w: %q has %d rows, the new ones begin at %d", transport.ErrState, st.name, st.shape[axis], spec.Start)
	case st.axis < 0 && axis >= 0 && spec.Start+spec.Shape[axis] > st.shape[axis]:
		return nil, fmt.Errorf("%w: %q has %d rows, the last new one is %d", transport.ErrState, st.name, st.shape[axis], spec.Start+spec.Shape[axis])
	}
	return st, nil
}

// makeRoom gives a state memory for rows to stop, those from start on being
// written.
func (s *Session) makeRoom(ctx context.Context, st *state, start, stop int, h halt.Func) error {
	rows, first := 1, 0
	if st.axis >= 0 {
		rows = max(st.shape[st.axis], stop)
		if st.capacity > 0 {
			first = start / st.capacity
		}
	}
	if len(st.pages) > 0 && (st.axis < 0 || rows <= st.room()) && !st.sharedFrom(first) {
		return nil
	}
	least, err := st.bytes(rows, s.e.opts.MaxScratch)
	if err != nil {
		return err
	}
	g := &growth{st: st, rows: rows, least: least, first: first, paged: s.on.pageRows > 0}
	for room := range 2 {
		g.choose(room == 0, s.on.pageRows, s.e.opts.MaxScratch)
		if err = s.growBy(ctx, g, h); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// growBy reserves the memory of a growth and does it.
func (s *Session) growBy(ctx context.Context, g *growth, h halt.Func) error {
	more, own := int64(g.added()), max(int64(g.added()-g.dropped()), 0)
	if err := s.budget.Take(own); err != nil {
		return err
	}
	err := s.e.budget.Reserve(budget.State, more, "the state of the session")
	if err != nil {
		s.budget.Give(own)
		return err
	}
	if err = s.extend(ctx, g, h); err != nil {
		s.budget.Give(own)
		s.e.budget.Release(budget.State, more)
	}
	return err
}
