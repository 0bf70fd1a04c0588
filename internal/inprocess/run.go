package inprocess

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// own is how much of a mapped file is copied at once.
const own = 512 << 10

// Prepare implements [transport.Session].
func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	e := s.x.engine
	program, ok := e.Program(p.Hash())
	if !ok {
		if err := p.OneDevice(); err != nil {
			return nil, err
		}
		if program, err = e.CompileContext(ctx, p, nil); err != nil {
			return nil, err
		}
		s.x.compiled()
	}
	if err := s.es.Use(program); err != nil {
		return nil, err
	}
	ref := s.refer(program)
	missing := e.Missing(program)
	if err := e.Fits(program, nil); err != nil {
		if s.sole(program) {
			s.es.Leave(program)
		}
		return nil, err
	}
	list := make([]transport.Weight, len(missing))
	done, total := int64(0), int64(0)
	for i, v := range missing {
		if weights == nil {
			return nil, fmt.Errorf("%w: %q (%v): no source of weights was given", transport.ErrMissingWeight, v.Name, v.Hash)
		}
		w, err := weights.Weight(v.Hash)
		if err != nil {
			return nil, fmt.Errorf("weight %q: %w", v.Name, err)
		}
		if w.Storage != v.Storage {
			return nil, fmt.Errorf("%w: weight %q is %v, the plan says %v", transport.ErrShape, v.Name, w.Storage, v.Storage)
		}
		list[i] = w
		total += int64(len(w.Data))
	}
	for i, v := range missing {
		err := s.put(ctx, program, v, list[i], func(n int) {
			if done += int64(n); progress != nil {
				progress(done, total)
			}
		})
		if errors.Is(err, transport.ErrCorrupt) && list[i].Distrust != nil {
			list[i].Distrust()
			if !errors.Is(err, memory.ErrFault) {
				err = &transport.ContentError{Name: v.Name, File: list[i].File, Err: err}
			}
		}
		if err != nil {
			return nil, err
		}
		if list[i].Release != nil {
			list[i].Release()
		}
	}
	return ref, nil
}

// put packs a weight.
func (s *session) put(ctx context.Context, p *engine.Program, v plan.Value, from transport.Weight, did func(int)) error {
	w, err := s.x.engine.PutWeight(p, v)
	if err != nil {
		return err
	}
	defer w.Abort()
	var buffer []byte
	if from.File != "" {
		buffer = make([]byte, min(own, max(len(from.Data), 1)))
	}
	fault, err := host.Upload(ctx, w, from, buffer, func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctxError(ctx)
		}
		return nil
	}, did)
	switch {
	case err != nil:
		return fmt.Errorf("weight %q: %w", v.Name, err)
	case errors.Is(fault, transport.ErrShape):
		return fmt.Errorf("weight %q: %w", v.Name, fault)
	}
	return fault
}

// Run implements [transport.Session].
func (s *session) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return transport.Result{}, err
	}
	if ctx, err = s.enter(ctx); err != nil {
		return transport.Result{}, err
	}
	defer s.leave()
	c, err := s.start(ctx, ref, call)
	if err != nil {
		return transport.Result{}, err
	}
	defer c.Release()
	p := ref.program.Plan()
	res := transport.Result{Elapsed: c.Elapsed(), Outputs: make([]transport.OutputValue, len(p.Outputs))}
	for i := range p.Outputs {
		t, h := c.Output(i)
		t.Shape = slices.Clone(t.Shape)
		t.Data = slices.Clone(t.Data)
		res.Outputs[i] = transport.OutputValue{Tensor: t, Handle: h}
	}
	return res, nil
}

func (s *session) planOf(p transport.PlanRef) (*planRef, error) {
	ref, ok := p.(*planRef)
	if !ok || ref.session != s {
		return nil, fmt.Errorf("%w: the plan was not prepared in this session", transport.ErrUnknownPlan)
	}
	return ref, nil
}

// start runs a call and returns it with its outputs, to be released.
func (s *session) start(ctx context.Context, ref *planRef, call transport.Call) (*engine.Call, error) {
	if s.unknown {
		return nil, fmt.Errorf("%w: a loop ended early, the session needs a Reset", transport.ErrState)
	}
	p := ref.program.Plan()
	if len(call.Inputs) != len(p.Inputs) {
		return nil, fmt.Errorf("%w: %d inputs, the plan has %d", transport.ErrUnknownInput, len(call.Inputs), len(p.Inputs))
	}
	if err := s.awaits(ctx, call.Inputs); err != nil {
		return nil, err
	}
	c, err := s.es.NewCallContext(ctx, ref.program, call.Bindings)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("%w: %w", err, ctxError(ctx))
		}
		return nil, err
	}
	if err := s.feedAndRun(ctx, c, &call); err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

// awaits waits until the inputs that are still to arrive have.
func (s *session) awaits(ctx context.Context, inputs []transport.Input) error {
	for i := range inputs {
		if h := inputs[i].Handle; !h.IsZero() {
			if err := s.es.Await(ctx, h); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *session) feedAndRun(ctx context.Context, c *engine.Call, call *transport.Call) error {
	inputs := call.Inputs
	if call.Profile {
		if err := c.Measure(); err != nil {
			return err
		}
	}
	if err := host.Feed(c, len(inputs), func(i int) transport.Input { return inputs[i] }); err != nil {
		return err
	}
	if err := c.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", err, ctxError(ctx))
		}
		return err
	}
	return nil
}
