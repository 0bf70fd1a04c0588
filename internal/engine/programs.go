package engine

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Program finds a compiled plan by content hash.
func (e *Engine) Program(h plan.Hash) (*Program, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.programs[h]
	if ok && p.idle != nil {
		e.unused.MoveToBack(p.idle)
	}
	return p, ok
}

// Compile is [Engine.CompileContext] that nothing stops.
func (e *Engine) Compile(p *plan.Plan) (*Program, error) {
	return e.CompileContext(context.Background(), p, nil)
}

// CompileContext validates p, checks its operators and prepares it to run. Plans
// are held by content hash. Errors wrap [transport.ErrInvalidPlan], or
// [transport.ErrLimit] when the plan takes more than [op.MaxPlanWork], or the
// cause of ctx, or [transport.ErrInternal] after a panic. Now and then it calls
// pause, which may be nil, to let others go first; an error of it ends the work.
func (e *Engine) CompileContext(ctx context.Context, p *plan.Plan, pause func(ctx context.Context) error) (_ *Program, err error) {
	defer recovered(&err)
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	return e.CompileHashed(ctx, p, plan.HashEncoded(encoded), pause)
}

// CompileHashed is [Engine.CompileContext] of a plan that is known to be valid
// and to have the hash h, such as one that has been decoded.
func (e *Engine) CompileHashed(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (_ *Program, err error) {
	defer recovered(&err)
	e.fault("compile")
	if prog, ok := e.Program(h); ok {
		return prog, nil
	}
	prog, err := compile(p, e.opts, op.NewWork(func() error {
		if ctx.Err() != nil {
			return fmt.Errorf("genie: stopped while a plan was prepared: %w", context.Cause(ctx))
		}
		if pause == nil {
			return nil
		}
		return pause(ctx)
	}))
	if err != nil {
		return nil, err
	}
	prog.hash = h
	e.plansSeen.Add(1)
	e.mu.Lock()
	defer e.mu.Unlock()
	if other, ok := e.programs[h]; ok {
		return other, nil
	}
	e.programs[h] = prog
	e.rest(prog)
	return prog, nil
}

// rest puts a program that nobody uses behind the others, of which the first
// goes when there are too many. The caller holds the engine's lock.
func (e *Engine) rest(p *Program) {
	p.idle = e.unused.PushBack(p)
	if e.unused.Len() > e.opts.MaxPlans {
		old := e.unused.Remove(e.unused.Front()).(*Program)
		old.idle = nil
		delete(e.programs, old.hash)
	}
}

// Use says that the session uses p: until it closes, p and those of its weights
// that are there or come stay. A call says so by itself.
func (s *Session) Use(p *Program) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.use(p)
}

func (s *Session) use(p *Program) error {
	if err := s.usable(); err != nil {
		return err
	}
	if _, ok := s.used[p]; ok {
		return nil
	}
	s.used[p] = struct{}{}
	s.e.enter(p)
	s.e.store.use(p)
	return nil
}

// enter says that one session more uses p.
func (e *Engine) enter(p *Program) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.users++
	if p.idle != nil {
		e.unused.Remove(p.idle)
		p.idle = nil
	}
	if e.programs[p.hash] == nil { // it had gone before the session came
		e.programs[p.hash] = p
	}
}

// Leave takes a Use back, unless the session has called the program.
func (s *Session) Leave(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.used[p]; ok && s.bound[p] == nil {
		delete(s.used, p)
		s.e.leave(p)
	}
}

// leave says that one session less uses p.
func (e *Engine) leave(p *Program) {
	e.store.leave(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.users--; p.users == 0 && e.programs[p.hash] == p {
		e.rest(p)
	}
}
