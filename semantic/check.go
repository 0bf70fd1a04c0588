package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Check validates a schedule against its program and request: its plans are
// valid, the source of each input has its bytes, each requested output and each
// carried pair is present with its type and shape, the executor's weights are
// the program's, and the devices of its steps are devices of the cluster, with
// everything that touches one state on one of them. A fault is [ErrPolicy]. Clients check the schedules of
// every policy.
//
// Check cannot tell whether the steps of a plan that a policy wrote itself
// compute the program; the changes of [Rules.Rewrite] are compared when it
// makes them.
func (sch *Schedule) Check(s *SRG, r Request) error {
	if sch == nil || sch.Plan == nil {
		return planErr("no plan")
	}
	c := scheduleCheck{sch: sch, s: s, r: r}
	if len(c.r.Outputs) == 0 {
		c.r.Outputs = s.Graph.Outputs()
	}
	for _, step := range []func() error{c.plans, c.sources, c.results, c.carries} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

type scheduleCheck struct {
	sch *Schedule
	s   *SRG
	r   Request
}

func (c *scheduleCheck) plans() error {
	for _, p := range []*plan.Plan{c.sch.Plan, c.sch.Client} {
		if p == nil {
			continue
		}
		if err := p.Validate(); err != nil {
			return fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		operators, err := c.s.Graph.CustomOperators()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		resolved, err := op.ResolveFrom(operators, p)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrPolicy, err)
		}
		if err := overwritten(resolved); err != nil {
			return err
		}
		if err := c.weights(p); err != nil {
			return err
		}
		if p == c.sch.Plan {
			if err := c.places(resolved); err != nil {
				return err
			}
		}
	}
	if c.sch.Client == nil {
		return nil
	}
	if len(c.sch.Client.States) > 0 {
		return planErr("the client's plan has state")
	}
	if err := c.sch.Client.OneDevice(); err != nil {
		return fmt.Errorf("%w: the client partition: %w", ErrPlacement, err)
	}
	return nil
}

// overwritten finds outputs in the memory of a state that is replaced: they are
// read after the end of the run. Outputs in a written state are already an
// invalid plan.
func overwritten(r *op.Resolved) error {
	for i := range r.Plan.States {
		st := &r.Plan.States[i]
		for _, o := range r.Plan.Outputs {
			if st.Mode == plan.StateReplace && st.Out != st.In && r.Base[o.Value] == st.In {
				return planErr("output %q has the memory of state %q, which the run replaces", o.Name, st.Name)
			}
		}
	}
	return nil
}

// weights checks that a plan names only contents of the program.
func (c *scheduleCheck) weights(p *plan.Plan) error {
	type weight struct {
		hash    plan.Hash
		storage plan.DType
		spec    string
	}
	known := map[weight]bool{}
	for _, t := range c.s.Graph.Tensors() {
		if t.Kind() != lazy.KindWeight {
			continue
		}
		hash, storage := t.WeightRef()
		known[weight{hash, storage, t.Spec().String()}] = true
	}
	for _, v := range p.Values {
		if v.Kind == plan.KindWeight && !known[weight{v.Hash, v.Storage, v.Spec.String()}] {
			return planErr("the weight %q is none of %q", v.Name, c.s.Graph.Name())
		}
	}
	return nil
}

func (c *scheduleCheck) sources() error {
	for _, side := range []struct {
		p   *plan.Plan
		src []Source
	}{{c.sch.Plan, c.sch.Inputs}, {c.sch.Client, c.sch.ClientInputs}} {
		ports := 0
		if side.p != nil {
			ports = len(side.p.Inputs)
		}
		if ports != len(side.src) {
			return planErr("%d sources for %d inputs", len(side.src), ports)
		}
		for i, src := range side.src {
			if err := c.source(side.p, side.p.Values[side.p.Inputs[i].Value].Spec, src); err != nil {
				return fmt.Errorf("input %q: %w", side.p.Inputs[i].Name, err)
			}
		}
	}
	return nil
}

func (c *scheduleCheck) source(p *plan.Plan, spec plan.Spec, src Source) error {
	if src.Kind == FromOutput {
		if p == c.sch.Plan {
			return planErr("the executor's plan reads an output of its own")
		}
		return c.output(src.Output, spec, plan.Download)
	}
	t := src.Tensor
	if t == nil || t.Err() != nil || t.Graph() != c.s.Graph {
		return planErr("no tensor of %q", c.s.Graph.Name())
	}
	want := lazy.KindInput
	if src.Kind == FromWeight {
		want = lazy.KindWeight
	}
	carried := slices.ContainsFunc(c.s.Graph.Carries(), func(x lazy.Carried) bool { return x.In == t })
	if t.Kind() != want || src.Kind > FromOutput || carried != (src.Kind == FromCarry) {
		return planErr("%v has no such source", t)
	}
	return sameSpec(spec, t.Spec())
}

// output compares an output of the executor's plan with its intended use.
func (c *scheduleCheck) output(i int, spec plan.Spec, places ...plan.Place) error {
	p := c.sch.Plan
	if i < 0 || i >= len(p.Outputs) {
		return planErr("output %d of %d", i, len(p.Outputs))
	}
	if !slices.Contains(places, p.Outputs[i].Place) {
		return planErr("output %q stays on the executor, and its bytes are needed", p.Outputs[i].Name)
	}
	return sameSpec(p.Values[p.Outputs[i].Value].Spec, spec)
}

func sameSpec(got, want plan.Spec) error {
	if got.DType != want.DType || !got.Shape.Equal(want.Shape) {
		return planErr("%v for %v", got, want)
	}
	return nil
}

func (c *scheduleCheck) results() error {
	if len(c.sch.Results) != len(c.r.Outputs) {
		return planErr("%d results for %d outputs", len(c.sch.Results), len(c.r.Outputs))
	}
	places := []plan.Place{plan.Download}
	if c.r.Keep {
		places = append(places, plan.Retain)
	}
	for i, res := range c.sch.Results {
		want := c.r.Outputs[i]
		var err error
		switch p := c.sch.Client; {
		case !res.Client:
			err = c.output(res.Output, want.Tensor.Spec(), places...)
		case p == nil || res.Output < 0 || res.Output >= len(p.Outputs):
			err = planErr("it is none of the client's")
		default:
			err = sameSpec(p.Values[p.Outputs[res.Output].Value].Spec, want.Tensor.Spec())
		}
		if err != nil {
			return fmt.Errorf("result %q: %w", want.Name, err)
		}
	}
	return nil
}

func (c *scheduleCheck) carries() error {
	pairs := c.s.Graph.Carries()
	if len(c.sch.Carries) != len(pairs) {
		return planErr("%d places for %d carried pairs", len(c.sch.Carries), len(pairs))
	}
	states := map[string]plan.State{}
	for _, st := range c.sch.Plan.States {
		states[st.Name] = st
	}
	for i, place := range c.sch.Carries {
		in, out := pairs[i].In, pairs[i].Out
		var err error
		st, ok := states[place.State]
		delete(states, place.State)
		switch {
		case place.State == "":
			err = c.output(place.Output, out.Spec(), plan.Download)
		case slices.Contains(c.r.Fed, i):
			err = planErr("it is fed, and stays on the executor")
		case !ok || place.State != stateName(c.s.Graph, c.r, in):
			err = planErr("the plan has no state %q", stateName(c.s.Graph, c.r, in))
		default:
			if err = sameSpec(c.sch.Plan.Values[st.In].Spec, in.Spec()); err == nil {
				err = sameSpec(c.sch.Plan.Values[st.Out].Spec, out.Spec())
			}
		}
		if err != nil {
			return fmt.Errorf("carried input %q: %w", in.Name(), err)
		}
	}
	for name := range states {
		return planErr("the state %q is of no carried pair", name)
	}
	return nil
}
