package remote

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// Run implements [transport.Session].
func (s *session) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	if _, err := s.planOf(call.Plan); err != nil {
		return transport.Result{}, err
	}
	m, err := s.runMessage(call)
	if err != nil {
		return transport.Result{}, err
	}
	ref, control := m.ref, m.control
	var answer wirepb.Ran
	var res transport.Result
	r := &request{
		typ: wire.TypeRun, order: s.order, control: control, payload: m.payload, answer: &answer,
		cause: firstCause(ref.layout.Plan),
		late:  s.noteLate, into: len(call.Into) > 0, named: len(control.GetHandles()) > 0, number: func(seq uint64) { control.Seq = seq },
	}
	r.payloadOf = func() (segs []wire.Segment, err error) {
		res, segs, err = s.result(ref.layout.Plan, m.outputs, &call, &answer)
		return segs, err
	}
	if err := s.call(ctx, r); err != nil {
		ref.said.forget()
		return transport.Result{}, err
	}
	return res, nil
}

// runMessage is a run as it is sent.
type runMessage struct {
	ref     *planRef
	control *wirepb.Run
	payload []wire.Segment
	outputs [][]int // shapes
}

// runMessage makes the message of a run: it binds the sizes here, once for
// everything on this side.
func (s *session) runMessage(call transport.Call) (runMessage, error) {
	ref, err := s.planAnyway(call.Plan)
	if err != nil {
		return runMessage{}, err
	}
	sizes, err := ref.layout.Bind(call.Bindings)
	if err != nil {
		return runMessage{}, err
	}
	if err := call.CheckInto(ref.layout.Plan); err != nil {
		return runMessage{}, err
	}
	control := &wirepb.Run{Session: s.num, Plan: ref.num, Bindings: make([]uint64, len(call.Bindings))}
	for i, n := range call.Bindings {
		control.Bindings[i] = uint64(n)
	}
	payload, err := bindInputs(ref.layout.Plan, call.Inputs, sizes.Inputs, control)
	if err != nil {
		return runMessage{}, err
	}
	control.Causes = ref.said.differ(call.Inputs)
	if control.Profile = call.Profile; call.Profile {
		s.profiles(ref)
	}
	return runMessage{ref, control, payload, sizes.Outputs}, nil
}

// planOf finds a plan of the session for a run that continues from its state.
func (s *session) planOf(p transport.PlanRef) (*planRef, error) {
	ref, err := s.planAnyway(p)
	if err != nil {
		return nil, err
	}
	if err := s.known(); err != nil {
		return nil, err
	}
	return ref, nil
}

// known reports whether the carried state is what the caller's runs made it.
func (s *session) known() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.advanced {
		return fmt.Errorf("%w: a cancelled run had succeeded on the worker, the session needs a Reset", transport.ErrState)
	}
	return nil
}

// planAnyway finds a plan of the session.
func (s *session) planAnyway(p transport.PlanRef) (*planRef, error) {
	ref, ok := p.(*planRef)
	if !ok || ref.session != s {
		return nil, fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	return ref, s.check()
}

// bindInputs makes the payload of a run and adds the handles to its control
// message.
func bindInputs(p *plan.Plan, inputs []transport.Input, sizes []uint64, control *wirepb.Run) ([]wire.Segment, error) {
	if len(inputs) != len(p.Inputs) {
		return nil, fmt.Errorf("%w: %d inputs, the plan has %d", transport.ErrUnknownInput, len(inputs), len(p.Inputs))
	}
	segs := make([]wire.Segment, 0, len(inputs))
	for i, in := range inputs {
		if !in.Handle.IsZero() {
			control.Handles = append(control.Handles, &wirepb.InputHandle{Input: uint32(i), Handle: wire.HandleMessage(in.Handle)})
			continue
		}
		if uint64(len(in.Data)) != sizes[i] {
			return nil, fmt.Errorf("%w: input %q has %d bytes, the bindings make it %d", transport.ErrShape, p.Inputs[i].Name, len(in.Data), sizes[i])
		}
		if int(in.Cause) >= plan.NumCauses {
			return nil, fmt.Errorf("%w: input %q has cause %d", transport.ErrUnknownInput, p.Inputs[i].Name, in.Cause)
		}
		seg := wire.Segment{Data: in.Data, Cause: in.Cause}
		if in.File != "" {
			seg.View = fmt.Sprintf("input %q of %s", p.Inputs[i].Name, in.File)
		}
		segs = append(segs, seg)
	}
	control.Bytes = claim(segs)
	return segs, nil
}

// claim is the length of a payload if it has to be sent: when it takes more
// than one frame.
func claim(payload []wire.Segment) uint64 {
	if n := wire.Len(payload); n > wire.ChunkSize {
		return n
	}
	return 0
}

// result takes memory for the outputs, whose sizes follow from the plan.
func (s *session) result(p *plan.Plan, shapes [][]int, call *transport.Call, m *wirepb.Ran) (transport.Result, []wire.Segment, error) {
	res := transport.Result{
		Outputs: make([]transport.OutputValue, len(p.Outputs)),
		Elapsed: time.Duration(number(m.GetElapsedNs())),
	}
	kept := m.GetRetained()
	segs := make([]wire.Segment, 0, len(p.Outputs))
	left := s.x.cfg.MaxMessage
	for i, o := range p.Outputs {
		t := &res.Outputs[i].Tensor
		t.DType, t.Shape = p.Values[o.Value].Spec.DType, shapes[i]
		if o.Place == plan.Retain {
			if len(kept) == 0 {
				return res, nil, fmt.Errorf("%w: no handle for output %q", transport.ErrProtocol, o.Name)
			}
			res.Outputs[i].Handle = wire.HandleFrom(kept[0])
			s.keep(res.Outputs[i].Handle, keptValue{o.Cause, t.DType, t.Shape})
			kept = kept[1:]
			continue
		}
		n, err := wire.Bytes(t.DType, t.Shape)
		if err != nil {
			return res, nil, err
		}
		if n > left {
			return res, nil, fmt.Errorf("%w: outputs above %d bytes", transport.ErrLimit, s.x.cfg.MaxMessage)
		}
		left -= n
		t.Data = call.OutputMemory(i, int(n))
		segs = append(segs, wire.Segment{Data: t.Data, Cause: o.Cause})
	}
	if len(kept) > 0 {
		return res, nil, fmt.Errorf("%w: %d handles too many", transport.ErrProtocol, len(kept))
	}
	return res, segs, nil
}

func (s *session) keep(h transport.Handle, k keptValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[h] = k
}

// noteLate records that a run which was given up has changed the state.
func (s *session) noteLate(err error) {
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced = true
}

// firstCause is what a discarded answer counts as.
func firstCause(p *plan.Plan) plan.Cause {
	for _, o := range p.Outputs {
		if o.Place == plan.Download {
			return o.Cause
		}
	}
	return plan.CauseControl
}
