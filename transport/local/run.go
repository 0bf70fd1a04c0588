package local

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// piece is how much of a weight is packed between two looks at the context.
const piece = 4 << 20

// Prepare implements [transport.Session].
func (s *session) Prepare(ctx context.Context, p *plan.Plan, weights transport.WeightSource, progress transport.Progress) (transport.PlanRef, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	e := s.x.engine
	program, ok := e.Program(p.Hash())
	if !ok {
		var err error
		if program, err = e.CompileContext(ctx, p, nil); err != nil {
			return nil, err
		}
		s.x.mu.Lock()
		s.x.plans++
		s.x.mu.Unlock()
	}
	if err := s.es.Use(program); err != nil {
		return nil, err
	}
	missing := e.Missing(program)
	if err := e.Fits(program); err != nil {
		s.es.Leave(program)
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
		err := s.put(ctx, program, v, list[i].Data, func(n int) {
			if done += int64(n); progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return nil, err
		}
		if list[i].Release != nil {
			list[i].Release()
		}
	}
	return &planRef{s, program}, nil
}

func (s *session) put(ctx context.Context, p *engine.Program, v plan.Value, data []byte, did func(int)) error {
	w, err := s.x.engine.PutWeight(p, v)
	if err != nil {
		return err
	}
	defer w.Abort()
	if int64(len(data)) != w.Want() {
		return fmt.Errorf("%w: weight %q has %d bytes, the plan says %d", transport.ErrShape, v.Name, len(data), w.Want())
	}
	for len(data) > 0 {
		if ctx.Err() != nil {
			return fmt.Errorf("weight %q: %w", v.Name, ctxError(ctx))
		}
		n := min(len(data), piece)
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
		did(n)
	}
	return w.Commit()
}

// Run implements [transport.Session].
func (s *session) Run(ctx context.Context, call transport.Call) (transport.Result, error) {
	ref, err := s.planOf(call.Plan)
	if err != nil {
		return transport.Result{}, err
	}
	if err := s.enter(ctx); err != nil {
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
	c, err := s.es.NewCall(ref.program, call.Bindings)
	if err != nil {
		return nil, err
	}
	if err := s.feedAndRun(ctx, c, call.Inputs); err != nil {
		c.Release()
		return nil, err
	}
	return c, nil
}

func (s *session) feedAndRun(ctx context.Context, c *engine.Call, inputs []transport.Input) error {
	for i, in := range inputs {
		var err error
		if in.Handle.IsZero() {
			err = c.SetInput(i, in.Data)
		} else {
			err = c.SetHandle(i, in.Handle)
		}
		if err != nil {
			return err
		}
	}
	if err := c.Run(ctx); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w: %w", err, ctxError(ctx))
		}
		return err
	}
	return nil
}
