package cluster

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Run implements [transport.Session].
func (s *session) Run(ctx context.Context, call transport.Call) (_ transport.Result, err error) {
	defer s.endedBy(&err)
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return transport.Result{}, err
	}
	if k, ok := ref.alone(); ok {
		return s.pass(ctx, k, ref, call)
	}
	if err := s.enter(ctx, whole); err != nil {
		return transport.Result{}, err
	}
	defer s.leave(whole)
	into := call // the members compute into memory of their own
	if err := into.CheckInto(ref.split.Whole); err != nil {
		return transport.Result{}, err
	}
	call.Into = nil
	res, err := s.run(ctx, ref, call)
	for i := range res.Outputs {
		if out := &res.Outputs[i].Tensor; i < len(into.Into) && into.Into[i] != nil && out.Data != nil {
			mine := into.OutputMemory(i, len(out.Data))
			copy(mine, out.Data)
			out.Data = mine
		}
	}
	return res, err
}

func (s *session) planOf(p transport.PlanRef) (*planRef, error) {
	ref, ok := p.(*planRef)
	if !ok || ref.session != s {
		return nil, fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	return ref, nil
}

// pass passes a run through to the member that does all of it. Runs that pass
// through to one member may wait for each other there.
func (s *session) pass(ctx context.Context, k int, ref *planRef, call transport.Call) (transport.Result, error) {
	if err := s.enterReady(ctx); err != nil {
		return transport.Result{}, err
	}
	defer s.leave(some)
	return s.passed(ctx, k, ref, call)
}

// enterReady is enter for a call that passes through and uses carried state.
func (s *session) enterReady(ctx context.Context) error {
	if err := s.enter(ctx, some); err != nil {
		return err
	}
	if len(s.carried.undo) == 0 {
		err := s.carried.check()
		if err != nil {
			s.leave(some)
		}
		return err
	}
	s.leave(some)
	if err := s.enter(ctx, whole); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		s.leave(whole)
		return err
	}
	s.leave(whole - some) // the rest is the caller's
	return nil
}

// passed is pass for a caller that has the turn.
func (s *session) passed(ctx context.Context, k int, ref *planRef, call transport.Call) (transport.Result, error) {
	call, err := s.own(ctx, k, ref, call)
	if err != nil {
		return transport.Result{}, err
	}
	on, err := s.member(ctx, k)
	if err != nil {
		return transport.Result{}, err
	}
	res, err := on.Run(ctx, call)
	if err != nil {
		return transport.Result{}, s.x.failed(k, err)
	}
	if k == 0 {
		return res, nil // its handles are the cluster's
	}
	for i := range res.Outputs {
		if res.Outputs[i].Handle, err = s.x.named(k, res.Outputs[i].Handle); err != nil {
			return transport.Result{}, err
		}
	}
	return res, nil
}

// own is a call of a plan of one member, as that member's session takes it.
func (s *session) own(ctx context.Context, k int, ref *planRef, call transport.Call) (transport.Call, error) {
	call.Plan = ref.parts[0]
	copied := false
	for i := range call.Inputs {
		h := call.Inputs[i].Handle
		if h.IsZero() || k == 0 && h.ID>>memberShift == 0 {
			continue
		}
		if !copied {
			call.Inputs, copied = slices.Clone(call.Inputs), true
		}
		var err error
		if call.Inputs[i], err = s.input(ctx, k, call.Inputs[i]); err != nil {
			return call, err
		}
	}
	return call, nil
}

// input is an input of a call, as member k's session takes it: a value that
// another member has moves there.
func (s *session) input(ctx context.Context, k int, in transport.Input) (transport.Input, error) {
	if in.Handle.IsZero() {
		return in, nil
	}
	from, h, err := s.whose(in.Handle)
	if err != nil {
		return in, err
	}
	if from == k {
		in.Handle = h
		return in, nil
	}
	return s.moved(ctx, from, h, in.Cause)
}

// moved is a value of one member as an input of another: it goes through this
// process.
func (s *session) moved(ctx context.Context, from int, h transport.Handle, cause plan.Cause) (transport.Input, error) {
	on, err := s.member(ctx, from)
	if err != nil {
		return transport.Input{}, err
	}
	t, err := on.Read(ctx, h)
	if err != nil {
		return transport.Input{}, s.x.failed(from, err)
	}
	return transport.Input{Data: t.Data, Cause: cause}, nil
}
