package engine

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// newState takes a state from a block of them: a step passes over all states of
// a plan, which should not be on separate pages.
func (s *Session) newState(d *plan.State, dt plan.DType, in []int) *state {
	const block = 32
	if len(s.blank) == 0 {
		s.blank = make([]state, block)
	}
	st := &s.blank[0]
	s.blank = s.blank[1:]
	*st = state{name: d.Name, mode: d.Mode, dtype: dt, axis: d.Axis}
	st.shape = append(st.dims[:0], in...)
	if d.Mode == plan.StateAppend {
		st.shape[d.Axis] = 0
	} else {
		st.axis = -1
	}
	return st
}

// NewSession opens a session.
func (e *Engine) NewSession() *Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nextID++
	s := &Session{
		e: e, id: e.nextID, budget: sessionBudget{limit: e.opts.SessionMemory, payer: unbounded{}}, states: map[string]*state{}, retained: map[uint64]*retained{},
		used: map[*Program]struct{}{}, bound: map[*Program]*binding{}, closed: e.closed, on: e.current.Load(),
	}
	if !e.closed {
		e.sessions[s] = struct{}{}
	}
	return s
}

// ID is the session's number in this engine.
func (s *Session) ID() uint64 { return s.id }

// Close waits for the running call and frees everything.
func (s *Session) Close() {
	s.run.Lock()
	defer s.run.Unlock()
	defer s.e.endSession(s)
	s.drop()
}

// drop frees what the session holds, once.
func (s *Session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	s.dropAll()
}

// dropAll frees what the session holds. The caller holds the session's lock.
func (s *Session) dropAll() {
	s.dropStates()
	for _, k := range s.retained {
		s.forget(k)
	}
	for p := range s.used {
		s.e.leave(p)
	}
	for _, b := range s.bound {
		s.uncharge(b.counted())
	}
	for p := range s.profiles {
		s.dropProfile(p)
	}
	clear(s.retained)
	clear(s.used)
	clear(s.bound)
}

// endSession removes a closed session from the engine's.
func (e *Engine) endSession(s *Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.sessions, s)
}

// Reset forgets carried state; retained values stay.
func (s *Session) Reset() {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropStates()
}

func (s *Session) dropStates() {
	for _, st := range s.states {
		s.replacePages(st, 0, nil)
	}
	clear(s.states)
	s.resets++
}

// fit finds the session's state for a run that starts with the shape in; it
// makes a missing one, without memory.
//
// known is the state as the caller last saw it, nil if it does not know.
func (s *Session) fit(known *state, d *plan.State, dt plan.DType, in []int) (*state, error) {
	st := known
	if st == nil {
		st = s.states[d.Name]
	}
	if st == nil {
		st = s.newState(d, dt, in)
	}
	if st.lost {
		return nil, lostState(d.Name)
	}
	if st.mode != d.Mode || st.dtype != dt || !slices.Equal(st.shape, in) || d.Mode == plan.StateAppend && st.axis != d.Axis {
		return nil, fmt.Errorf("%w: %q is %v%v (%v), the call wants %v%v (%v)", transport.ErrState, d.Name, st.dtype, st.shape, st.mode, dt, in, d.Mode)
	}
	return st, nil
}

// Charge makes the session take its memory, carried state and retained values,
// from another budget too. It must be called before the session's first call.
func (s *Session) Charge(a TenantBudget) { s.budget.payer = a }
