package cluster

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A run in parts changes the carried state of one member after the other. When
// it fails, what it has changed is taken back: rows that were appended are cut
// off, and replaced states are put back. This is done before the session's next
// call: the call that failed returns at once, and after a Reset nothing is left
// to do.

// carried is what a session knows of its carried state on the members.
type carried struct {
	undefined bool // a loop or a Reset ended early
	lost      *StateError
	undo      []undo // to be done before the next run
}

// undo takes back what part of a failed run did on a member.
type undo struct {
	member  int
	rewind  []transport.StateLength
	restore []restore
	err     *StateError // what it is when it cannot be done
}

// restore puts a replaced state back.
type restore struct {
	state  plan.State
	in     plan.Value
	shape  []int
	handle transport.Handle // of the member
}

// StateError says that a run has failed on one member after it had changed
// carried state of others, which could not be taken back: parts of the session's
// state are from before the run and parts from after it. The session needs a
// Reset. It wraps [transport.ErrState] and [transport.ErrSessionLost].
type StateError struct {
	Members []string // that have state from after the run, or none
	States  []string // their states
	Err     error    // why
}

// Error names the members, the states and the cause.
func (e *StateError) Error() string {
	return fmt.Sprintf("%v: the states %q of the members %q are not those from before a run that failed, the session needs a Reset: %v",
		transport.ErrState, e.States, e.Members, e.Err)
}

// Unwrap is the sentinels.
func (e *StateError) Unwrap() []error { return []error{transport.ErrState, transport.ErrSessionLost} }

// lose adds to what is lost.
func (c *carried) lose(e *StateError) {
	if c.lost == nil {
		c.lost = e
		return
	}
	c.lost = &StateError{Members: append(c.lost.Members, e.Members...), States: append(c.lost.States, e.States...), Err: c.lost.Err}
}

// check says whether runs may use the carried state.
func (c *carried) check() error {
	if c.undefined {
		return fmt.Errorf("%w: a loop ended early, the session needs a Reset", transport.ErrState)
	}
	if c.lost != nil {
		return c.lost
	}
	return nil
}

// failed notes what a failed run has changed.
func (c *carried) failed(r *partsRun, why error) {
	sizes := sizesOf(r.ref.split.Whole, r.call.Bindings)
	for i := range r.ref.split.Parts {
		part := &r.ref.split.Parts[i]
		if !r.ran[i] || len(part.Plan.States) == 0 {
			continue
		}
		u := undo{member: part.Device, err: &StateError{Members: []string{r.s.x.members[part.Device].Name}, Err: why}}
		ok := true
		for j := range part.Plan.States {
			u.err.States = append(u.err.States, part.Plan.States[j].Name)
			ok = u.add(r, i, j, sizes) && ok
		}
		if ok {
			c.undo = append(c.undo, u)
			continue
		}
		c.lose(u.err)
		for _, save := range part.Saves {
			r.s.spend(part.Device, r.results[i].Outputs[save.Output].Handle)
		}
	}
}

// add takes state j of a part back; false where that cannot be.
func (u *undo) add(r *partsRun, i, j int, sizes plan.Bindings) bool {
	part := &r.ref.split.Parts[i]
	st := part.Plan.States[j]
	in := part.Plan.Values[st.In]
	shape, err := in.Spec.Shape.Eval(sizes)
	switch {
	case err != nil:
		return false
	case st.In == st.Out:
		return true
	case st.Mode == plan.StateAppend:
		u.rewind = append(u.rewind, transport.StateLength{Name: st.Name, Length: shape[st.Axis]})
		return true
	case st.Mode == plan.StateReplace:
		for _, save := range part.Saves {
			if save.State == j {
				u.restore = append(u.restore, restore{state: st, in: in, shape: shape, handle: r.results[i].Outputs[save.Output].Handle})
				return true
			}
		}
	}
	return false
}

// sizesOf gives the symbols of a plan their sizes.
func sizesOf(p *plan.Plan, bindings []int) plan.Bindings {
	sizes := plan.Bindings{}
	for i, name := range p.Symbols() {
		if i < len(bindings) {
			sizes[name] = bindings[i]
		}
	}
	return sizes
}

// ready makes the carried state that of the last run that succeeded. The caller
// has the turn.
func (s *session) ready(ctx context.Context) error {
	c := &s.carried
	for len(c.undo) > 0 && !c.undefined && c.lost == nil {
		u := &c.undo[len(c.undo)-1]
		err := s.takeBack(ctx, u)
		if err != nil && ctx.Err() != nil {
			return fmt.Errorf("cluster session: %w", ctxError(ctx))
		}
		for _, r := range u.restore {
			s.spend(u.member, r.handle)
		}
		c.undo = c.undo[:len(c.undo)-1]
		if err != nil {
			u.err.Err = fmt.Errorf("%w; it cannot be taken back: %w", u.err.Err, err)
			c.lose(u.err)
		}
	}
	s.releaseSpent(ctx)
	return c.check()
}

// takeBack undoes what a part did. It may be done twice.
func (s *session) takeBack(ctx context.Context, u *undo) error {
	on, err := s.member(ctx, u.member)
	if err != nil {
		return err
	}
	if len(u.rewind) > 0 {
		r, ok := on.(transport.Rewinder)
		if !ok {
			return fmt.Errorf("%w: its executor cannot shorten carried state", transport.ErrState)
		}
		if err := r.Rewind(ctx, u.rewind...); err != nil {
			return s.x.failed(u.member, err)
		}
	}
	if len(u.restore) == 0 {
		return nil
	}
	p, inputs := restoring(u.restore)
	ref, err := on.Prepare(ctx, p, nil, nil)
	if err != nil {
		return s.x.failed(u.member, err)
	}
	if _, err = on.Run(ctx, transport.Call{Plan: ref, Inputs: inputs}); err != nil {
		return s.x.failed(u.member, err)
	}
	s.x.counts.runs.Add(1)
	return nil
}

// restoring is a plan that makes values carried state.
func restoring(list []restore) (*plan.Plan, []transport.Input) {
	p := &plan.Plan{
		Version: plan.Version, Name: "restore", Values: []plan.Value{}, Steps: []plan.Step{},
		Inputs: []plan.Port{}, Outputs: []plan.Output{}, States: []plan.State{},
	}
	var inputs []transport.Input
	for i, r := range list {
		spec := plan.Spec{DType: r.in.Spec.DType}
		for _, n := range r.shape {
			spec.Shape = append(spec.Shape, plan.C(n))
		}
		p.Values = append(p.Values,
			plan.Value{Kind: plan.KindState, Spec: spec, Buffer: plan.NoBuffer},
			plan.Value{Kind: plan.KindInput, Spec: spec, Buffer: plan.NoBuffer})
		st := r.state
		st.In, st.Out = 2*i, 2*i+1
		p.States = append(p.States, st)
		p.Inputs = append(p.Inputs, plan.Port{Name: fmt.Sprint(i), Value: 2*i + 1})
		inputs = append(inputs, transport.Input{Handle: r.handle, Cause: plan.CauseKV})
	}
	return p, inputs
}
