package engine

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Program finds a compiled plan by content hash.
func (e *Engine) Program(h plan.Hash) (*Program, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.programs[h]
	if !ok || p.on.lost.Load() != nil {
		return nil, false
	}
	if p.idle != nil {
		e.unused.MoveToBack(p.idle)
	}
	return p, true
}

// Compile is [Engine.CompileContext] without a way to stop it.
func (e *Engine) Compile(p *plan.Plan) (*Program, error) {
	return e.CompileContext(context.Background(), p, nil)
}

// CompileContext validates p, checks its operators and prepares it to run.
// Plans are stored by content hash. Errors wrap [transport.ErrInvalidPlan], or
// [transport.ErrLimit] when the plan takes more than [op.MaxPlanWork], or the
// cause of ctx, or are a [transport.MemoryError], or [transport.ErrInternal]
// after a panic. At intervals it calls pause, which may be nil, to let others
// go first; an error from pause ends the work.
func (e *Engine) CompileContext(ctx context.Context, p *plan.Plan, pause func(ctx context.Context) error) (_ *Program, err error) {
	defer device.Recovered(&err)
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	return e.CompileHashed(ctx, p, plan.HashEncoded(encoded), pause)
}

// CompileHashed is [Engine.CompileContext] of a plan that is known to be valid
// and to have the hash h, such as a decoded one.
func (e *Engine) CompileHashed(ctx context.Context, p *plan.Plan, h plan.Hash, pause func(ctx context.Context) error) (_ *Program, err error) {
	defer device.Recovered(&err)
	e.fault("compile")
	on, err := e.ready(ctx)
	if err != nil {
		return nil, err
	}
	if prog, ok := e.Program(h); ok {
		return prog, nil
	}
	if err := on.enter(); err != nil {
		return nil, err
	}
	defer on.leave()
	same, err := computes(p)
	if err != nil {
		return nil, err
	}
	prog := e.likeness(on, same, p)
	if prog == nil {
		prog, err = e.compile(on, p, op.NewWork(func() error {
			if ctx.Err() != nil {
				return fmt.Errorf("genie: stopped while a plan was prepared: %w", context.Cause(ctx))
			}
			if pause == nil {
				return nil
			}
			return pause(ctx)
		}))
	}
	if err != nil {
		return nil, err
	}
	prog.hash, prog.same = h, same
	e.plansSeen.Add(1)
	return e.hold(prog)
}

// hold adds a new program to the unused ones.
func (e *Engine) hold(prog *Program) (*Program, error) {
	prog.measure()
	if err := e.budget.Reserve(budget.Plans, prog.size, "a compiled plan"); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if lost := prog.on.lost.Load(); lost != nil {
		e.budget.Release(budget.Plans, prog.size)
		return nil, *lost
	}
	other, ok := e.programs[prog.hash]
	if ok && other.on != prog.on {
		e.forgetLost(other)
		ok = false
	}
	if ok {
		e.budget.Release(budget.Plans, prog.size)
		return other, nil
	}
	e.counts(prog)
	e.programs[prog.hash] = prog
	e.rest(prog)
	return prog, nil
}

// rest appends a program to the unused ones, and drops the first when there are
// too many. The caller holds the engine's lock.
func (e *Engine) rest(p *Program) {
	p.idle = e.unused.PushBack(p)
	e.unusedBytes += p.size
	for e.unused.Len() > e.opts.MaxPlans || e.unusedBytes > e.opts.MaxPlanBytes && e.unused.Len() > 1 {
		e.forgetOldest()
	}
}

// forgetOldest drops the longest unused program, and returns its size. The
// caller holds the engine's lock.
func (e *Engine) forgetOldest() int64 {
	old := e.unused.Front().Value.(*Program)
	e.wakes(old)
	delete(e.programs, old.hash)
	e.uncount(old)
	return old.size
}

// wakes removes a program from the unused ones. The caller holds the engine's
// lock.
func (e *Engine) wakes(p *Program) {
	if p.idle != nil {
		e.unused.Remove(p.idle)
		p.idle = nil
		e.unusedBytes -= p.size
	}
}

// uncount releases the memory that a program counts as. The caller holds the
// engine's lock.
func (e *Engine) uncount(p *Program) {
	e.forgetProfile(p)
	if p.counted {
		p.counted = false
		e.unlike(p)
		e.budget.Release(budget.Plans, p.size)
	}
}

// unusedPrograms are the programs that no session uses.
type unusedPrograms struct{ e *Engine }

// Idle implements [budget.Holder].
func (u unusedPrograms) Idle() int64 {
	u.e.mu.Lock()
	defer u.e.mu.Unlock()
	return u.e.unusedBytes
}

// Reclaim implements [budget.Holder]: it drops the longest unused ones.
func (u unusedPrograms) Reclaim(n int64) {
	u.e.mu.Lock()
	defer u.e.mu.Unlock()
	for n > 0 && u.e.unused.Len() > 0 {
		n -= u.e.forgetOldest()
	}
}

// Use declares that the session uses p: until it closes, p and its present and
// future weights stay. A call does this itself.
func (s *Session) Use(p *Program) error {
	if used, err := s.uses(p); used || err != nil {
		return err
	}
	if p.on != s.on {
		return p.elsewhere()
	}
	if err := s.e.enter(p); err != nil {
		return err
	}
	first := false
	defer func() {
		if !first {
			s.e.leave(p)
		}
	}()
	s.on.store.use(p)
	var err error
	first, err = s.using(p)
	return err
}

// uses reports whether the session uses p already.
func (s *Session) uses(p *Program) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return false, err
	}
	_, ok := s.used[p]
	return ok, nil
}

// using records that the session uses p; first is false when it did so before,
// or cannot.
func (s *Session) using(p *Program) (first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return false, err
	}
	if _, ok := s.used[p]; ok {
		return false, nil
	}
	s.used[p] = struct{}{}
	return true, nil
}

// elsewhere is the error of a program and a session of different incarnations
// of the device.
func (p *Program) elsewhere() error {
	if lost := p.on.lost.Load(); lost != nil {
		return *lost
	}
	return fmt.Errorf("%w: the device was lost after the session was opened", transport.ErrSessionLost)
}

// enter counts one more session that uses p. No lock is held: room may have to
// be made for a program that was dropped before the session came.
func (e *Engine) enter(p *Program) error {
	if e.join(p, false) {
		return nil
	}
	if err := e.budget.Reserve(budget.Plans, p.size, "a compiled plan"); err != nil {
		return err
	}
	e.join(p, true)
	return nil
}

// join counts a user of p if p is counted, or has just been reserved.
func (e *Engine) join(p *Program, reserved bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case p.counted && reserved:
		e.budget.Release(budget.Plans, p.size)
	case !p.counted && !reserved:
		return false
	}
	e.counts(p)
	p.users++
	e.wakes(p)
	if e.programs[p.hash] == nil && p.on.lost.Load() == nil {
		e.programs[p.hash] = p
	}
	return true
}

// Leave revokes a Use, unless the session has called the program.
func (s *Session) Leave(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.used[p]; ok && s.bound[p] == nil {
		s.dropProfile(p)
		delete(s.used, p)
		s.e.leave(p)
	}
}

// Forget is Leave for a program that the session may have called: it drops the
// session's binding first. It waits for the running call.
func (s *Session) Forget(p *Program) {
	s.run.Lock()
	defer s.run.Unlock()
	s.unbind(p)
	s.Leave(p)
}

func (s *Session) unbind(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.bound[p]; b != nil {
		delete(s.bound, p)
		s.uncharge(b.counted())
	}
}

// leave counts one session less that uses p.
func (e *Engine) leave(p *Program) {
	p.on.store.leave(p)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	if e.programs[p.hash] == p {
		e.rest(p)
	} else {
		e.uncount(p)
	}
}
