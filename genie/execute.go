package genie

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/measure"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func (s *Session) prepare(ctx context.Context, l *loop, p *plan.Plan) (transport.PlanRef, error) {
	if ref := l.prepared[p]; ref != nil {
		return ref, nil
	}
	ref, err := s.prepareRemote(ctx, p, l.p.graph)
	if err != nil {
		return nil, err
	}
	l.remember(p, ref)
	return ref, nil
}

// prepareRemote prepares a plan on the executor.
func (s *Session) prepareRemote(ctx context.Context, p *plan.Plan, g *lazy.Graph) (transport.PlanRef, error) {
	ctx, span := s.c.span(ctx, "genie.Prepare", p)
	ref, err := s.remote.Prepare(ctx, p, g, s.progress())
	span.End(err)
	return ref, err
}

// newCall prepares the plan and collects the inputs of the run.
func (s *Session) newCall(ctx context.Context, l *loop, sch *scheduled, feed Feed) (transport.Call, error) {
	ref, err := s.prepare(ctx, l, sch.Plan)
	if err != nil {
		return transport.Call{}, err
	}
	s.warnSlow(ctx, l, sch)
	if r, ok := s.remote.(measure.Resender); ok && s.c.opts.resends() {
		if err := r.Resend(ctx, ref); err != nil {
			return transport.Call{}, err
		}
	}
	call := transport.Call{Plan: ref, Inputs: make([]transport.Input, len(sch.Inputs)), Profile: s.c.opts.profile}
	if call.Bindings, err = l.sizes.pick(l.p, sch.symbols); err != nil {
		return transport.Call{}, err
	}
	for i, src := range sch.Inputs {
		if call.Inputs[i], err = s.input(ctx, l, src, feed, nil); err != nil {
			return transport.Call{}, err
		}
	}
	return call, nil
}

func (s *Session) execute(ctx context.Context, l *loop, sch *scheduled, feed Feed, outputs []*lazy.Tensor) ([]*Value, error) {
	call, err := s.newCall(ctx, l, sch, feed)
	if err != nil {
		return nil, err
	}
	s.runs(l)
	runCtx, span := s.c.span(ctx, "genie.Run", sch.Plan)
	res, err := s.remote.Run(runCtx, call)
	span.End(err)
	if err != nil {
		return nil, err
	}
	s.elapsed.Store(int64(res.Elapsed))
	if err := l.carry(sch, func(i int) []byte { return res.Outputs[i].Tensor.Data }); err != nil {
		return nil, err
	}
	var side transport.Result
	if sch.Client != nil {
		if side, err = s.runSide(ctx, l, sch, feed, res); err != nil {
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
		if sch.copied[i] {
			o.Tensor.Shape, o.Tensor.Data = slices.Clone(o.Tensor.Shape), slices.Clone(o.Tensor.Data)
		}
		out[i] = &Value{t: o.Tensor}
		if !o.Handle.IsZero() {
			out[i].kept = &kept{s: s, from: s.remote, h: o.Handle, turn: oneToken()}
		}
	}
	return out, nil
}

// input is the bytes or the handle of one input.
func (s *Session) input(ctx context.Context, l *loop, src semantic.Source, feed Feed, res []transport.OutputValue) (transport.Input, error) {
	in := transport.Input{Cause: src.Cause}
	switch src.Kind {
	case semantic.FromWeight:
		hash, _ := src.Tensor.WeightRef()
		w, err := l.p.weightInput(ctx, hash)
		w.Cause = src.Cause
		return w, err
	case semantic.FromOutput:
		in.Data = res[src.Output].Tensor.Data
		return in, nil
	case semantic.FromCarry:
		if feed[src.Tensor.Name()] == nil {
			if d := l.data[l.p.inputs[src.Tensor.Name()].carry]; d != nil {
				in.Data = d
				return in, nil
			}
			if l.ran {
				return in, fmt.Errorf("%w: the plan feeds the carried input %q, whose value an earlier plan of the policy left on the executor",
					semantic.ErrPolicy, src.Tensor.Name())
			}
			shape, err := src.Tensor.Shape().Eval(l.names)
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
	if k := v.kept; k != nil && k.s == s && k.from == s.remote && k.here.Load() == nil && res == nil {
		in.Handle = k.h
		return in, nil
	}
	t, err := v.Tensor(ctx)
	in.Data = t.Data
	if want := (transport.Tensor{Shape: v.Shape()}).Elements() * v.DType().Size(); err == nil && len(t.Data) != want {
		err = fmt.Errorf("%w: input %q is %v%v, %d bytes, fed %d", ErrShape, src.Tensor.Name(), v.DType(), v.Shape(), want, len(t.Data))
	}
	return in, err
}

// runSide runs the client partition of a plan.
func (s *Session) runSide(ctx context.Context, l *loop, sch *scheduled, feed Feed, res transport.Result) (transport.Result, error) {
	if err := s.openSide(ctx); err != nil {
		return transport.Result{}, err
	}
	ref := l.prepared[sch.Client]
	if ref == nil {
		var err error
		if ref, err = s.side.Prepare(ctx, sch.Client, l.p.graph, nil); err != nil {
			return transport.Result{}, err
		}
		l.remember(sch.Client, ref)
	}
	call := transport.Call{Plan: ref, Inputs: make([]transport.Input, len(sch.ClientInputs))}
	var err error
	if call.Bindings, err = l.sizes.pick(l.p, sch.clientSymbols); err != nil {
		return transport.Result{}, err
	}
	for i, src := range sch.ClientInputs {
		if call.Inputs[i], err = s.input(ctx, l, src, feed, res.Outputs); err != nil {
			return transport.Result{}, err
		}
	}
	return s.side.Run(ctx, call)
}

// openSide opens the half in this process, unless it is open.
func (s *Session) openSide(ctx context.Context) error {
	if s.side != nil {
		return nil
	}
	e, err := s.c.sideExecutor()
	if err != nil {
		return err
	}
	side, err := e.NewSession(ctx)
	if err != nil {
		return err
	}
	if !s.useSide(side) {
		_ = side.Close()
		return errSessionClosed()
	}
	return nil
}
