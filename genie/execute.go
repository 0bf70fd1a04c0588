package genie

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// planKey says what a plan of one graph was made for. Sizes are no part of it.
type planKey struct {
	profile semantic.Profile
	policy  string
	keep    bool
	fed     string
	outputs string
}

// scheduled is a schedule with the order of its symbols.
type scheduled struct {
	*semantic.Schedule
	symbols, clientSymbols []string
}

func (a *analysed) schedule(c *Client, p semantic.Profile, keep bool, fed []int, outputs []*lazy.Tensor) (*scheduled, error) {
	key := planKey{profile: p, policy: c.opts.policy.Name(), keep: keep, fed: fmt.Sprint(fed)}
	named := make([]lazy.Named, len(outputs))
	for i, t := range outputs {
		key.outputs += fmt.Sprintf("%d,", t.ID())
		named[i] = lazy.Named{Name: fmt.Sprintf("out:%d:%d", i, t.ID()), Tensor: t}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.plans[key]; ok {
		return s, nil
	}
	sch, err := c.opts.policy.Schedule(a.srg, semantic.Request{Profile: p, Outputs: named, Keep: keep, Fed: fed})
	if err != nil {
		return nil, err
	}
	s := &scheduled{Schedule: sch, symbols: sch.Plan.Symbols()}
	if sch.Client != nil {
		s.clientSymbols = sch.Client.Symbols()
	}
	a.plans[key] = s
	return s, nil
}

func (s *Session) prepare(ctx context.Context, p *plan.Plan, g *lazy.Graph) (transport.PlanRef, error) {
	if ref := s.prepared[p]; ref != nil {
		return ref, nil
	}
	ref, err := s.remote.Prepare(ctx, p, g, s.c.opts.progress)
	if err != nil {
		return nil, err
	}
	s.prepared[p] = ref
	return ref, nil
}

func sizes(symbols []string, b plan.Bindings) ([]int, error) {
	out := make([]int, len(symbols))
	for i, s := range symbols {
		n, ok := b[s]
		if !ok {
			return nil, fmt.Errorf("%w: dimension %q has no size; feed an input that has it", ErrShape, s)
		}
		out[i] = n
	}
	return out, nil
}

func (s *Session) execute(ctx context.Context, sch *scheduled, feed Feed, b plan.Bindings, outputs []*lazy.Tensor) ([]*Value, error) {
	g := outputs[0].Graph()
	ref, err := s.prepare(ctx, sch.Plan, g)
	if err != nil {
		return nil, err
	}
	call := transport.Call{Plan: ref, Inputs: make([]transport.Input, len(sch.Inputs))}
	if call.Bindings, err = sizes(sch.symbols, b); err != nil {
		return nil, err
	}
	for i, src := range sch.Inputs {
		if call.Inputs[i], err = s.input(ctx, src, feed, b, nil); err != nil {
			return nil, err
		}
	}
	res, err := s.remote.Run(ctx, call)
	if err != nil {
		return nil, err
	}
	s.elapsed = res.Elapsed
	if err := s.carry(g, sch, b, res); err != nil {
		return nil, err
	}
	var side transport.Result
	if sch.Client != nil {
		if side, err = s.runSide(ctx, sch, feed, b, res, g); err != nil {
			return nil, err
		}
	}
	out := make([]*Value, len(outputs))
	for i, r := range sch.Results {
		from := res
		if r.Client {
			from = side
		}
		o := from.Outputs[r.Output]
		out[i] = &Value{t: o.Tensor, h: o.Handle}
		if !o.Handle.IsZero() {
			out[i].s = s
		}
	}
	return out, nil
}

// input finds the bytes or the handle of one input.
func (s *Session) input(ctx context.Context, src semantic.Source, feed Feed, b plan.Bindings, res []transport.OutputValue) (transport.Input, error) {
	in := transport.Input{Cause: src.Cause}
	switch src.Kind {
	case semantic.FromWeight:
		hash, _ := src.Tensor.WeightRef()
		data, err := s.c.weightBytes(src.Tensor.Graph(), hash)
		in.Data = data
		return in, err
	case semantic.FromOutput:
		in.Data = res[src.Output].Tensor.Data
		return in, nil
	case semantic.FromCarry:
		if feed[src.Tensor.Name()] == nil {
			if c := s.carried[src.Tensor]; c != nil && c.data != nil {
				in.Data = c.data
				return in, nil
			}
			shape, err := src.Tensor.Shape().Eval(b)
			if err != nil {
				return in, err
			}
			in.Data = make([]byte, transport.Tensor{Shape: shape}.Elements()*src.Tensor.DType().Size())
			return in, nil
		}
	case semantic.FromFeed:
	}
	v := feed[src.Tensor.Name()]
	if v == nil {
		return in, fmt.Errorf("%w: input %q is not fed", ErrUnknownInput, src.Tensor.Name())
	}
	if v.s == s && v.t.Data == nil && res == nil {
		in.Handle = v.h
		return in, nil
	}
	t, err := v.Tensor(ctx)
	in.Data = t.Data
	if want := (transport.Tensor{Shape: v.Shape()}).Elements() * v.DType().Size(); err == nil && len(t.Data) != want {
		err = fmt.Errorf("%w: input %q is %v%v, %d bytes, fed %d", ErrShape, src.Tensor.Name(), v.DType(), v.Shape(), want, len(t.Data))
	}
	return in, err
}

// carry remembers the carried pairs after a run.
func (s *Session) carry(g *lazy.Graph, sch *scheduled, b plan.Bindings, res transport.Result) error {
	for i, place := range sch.Carries {
		c := g.Carries()[i]
		shape, err := c.Out.Shape().Eval(b)
		if err != nil {
			return err
		}
		v := &carriedValue{shape: shape}
		if place.State == "" {
			v.data = res.Outputs[place.Output].Tensor.Data
		}
		s.carried[c.In] = v
	}
	return nil
}

// runSide runs what the policy left to the client.
func (s *Session) runSide(ctx context.Context, sch *scheduled, feed Feed, b plan.Bindings, res transport.Result, g *lazy.Graph) (transport.Result, error) {
	if s.side == nil {
		e, err := s.c.sideExecutor()
		if err != nil {
			return transport.Result{}, err
		}
		if s.side, err = e.NewSession(ctx); err != nil {
			return transport.Result{}, err
		}
	}
	ref := s.prepared[sch.Client]
	if ref == nil {
		var err error
		if ref, err = s.side.Prepare(ctx, sch.Client, g, nil); err != nil {
			return transport.Result{}, err
		}
		s.prepared[sch.Client] = ref
	}
	call := transport.Call{Plan: ref, Inputs: make([]transport.Input, len(sch.ClientInputs))}
	var err error
	if call.Bindings, err = sizes(sch.clientSymbols, b); err != nil {
		return transport.Result{}, err
	}
	for i, src := range sch.ClientInputs {
		if call.Inputs[i], err = s.input(ctx, src, feed, b, res.Outputs); err != nil {
			return transport.Result{}, err
		}
	}
	return s.side.Run(ctx, call)
}
