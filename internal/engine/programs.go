package engine

import "github.com/genie-sdk/go/transport/plan"

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

// Compile validates p, checks its operators and prepares it to run. Plans are
// held by content hash. Errors wrap [transport.ErrInvalidPlan].
func (e *Engine) Compile(p *plan.Plan) (_ *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = internal(r)
		}
	}()
	e.fault("compile")
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	h := plan.HashEncoded(encoded)
	if prog, ok := e.Program(h); ok {
		return prog, nil
	}
	prog, err := compile(p, e.opts)
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
