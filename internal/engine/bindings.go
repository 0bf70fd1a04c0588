package engine

import (
	"cmp"
	"slices"
)

// A session retains a binding for each program that it has called, so that the
// next call computes only what changed. This memory of the session's budget is
// optional: a binding that no call uses is dropped when memory is needed, and
// the next call makes it again.

// binding is the session's binding of p. The caller has the session's turn.
func (s *Session) binding(p *Program) (*binding, error) {
	if b, err := s.bindingOf(p); b != nil || err != nil {
		return b, err
	}
	if err := s.Use(p); err != nil {
		return nil, err
	}
	s.dropBindings(MaxBindingBytes-p.bound, nil)
	err := s.charge(p.bound, "a plan that is bound to sizes")
	if err != nil && s.dropBindings(0, nil) > 0 {
		err = s.charge(p.bound, "a plan that is bound to sizes")
	}
	if err != nil {
		return nil, err
	}
	bound := false
	defer func() {
		if !bound {
			s.uncharge(p.bound)
		}
	}()
	b := newBinding(p)
	s.called(b)
	if err := s.bind(p, b); err != nil {
		return nil, err
	}
	bound = true
	return b, nil
}

// bindingOf finds a binding; nil when the session has none of p.
func (s *Session) bindingOf(p *Program) (*binding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bound[p]
	if b == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	if err := s.usable(); err != nil {
		return nil, err
	}
	s.called(b)
	return b, nil
}

// bind records a binding.
func (s *Session) bind(p *Program, b *binding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil {
		return err
	}
	s.bound[p] = b
	return nil
}

// called records that a call begins now.
func (s *Session) called(b *binding) {
	b.last = s.e.calls.Add(1)
	s.last.Store(b.last)
}

// counted is the memory that the binding counts as.
func (b *binding) counted() int64 { return b.prog.bound + b.heap }

// dropBindings drops the least recently used bindings, except keep, until the
// others have at most the given number of bytes, and returns the number of
// bytes dropped. The caller has the session's turn.
func (s *Session) dropBindings(most int64, keep *binding) (dropped int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := int64(0)
	for _, b := range s.bound {
		held += b.counted()
	}
	for held > most {
		var oldest *binding
		for _, b := range s.bound {
			if b != keep && (oldest == nil || b.last < oldest.last) {
				oldest = b
			}
		}
		if oldest == nil {
			return dropped
		}
		delete(s.bound, oldest.prog)
		n := oldest.counted()
		s.uncharge(n)
		held, dropped = held-n, dropped+n
	}
	return dropped
}

// takeAll takes the memory of a call, and drops the session's other bindings
// when there is not enough.
func (b *binding) takeAll(s *Session) error {
	if b.call.parts.on {
		return b.fits()
	}
	err := b.takeMemory(s)
	if err != nil && s.dropBindings(0, b) > 0 {
		err = b.takeMemory(s)
	}
	return err
}

// DropBindings drops idle bindings of sessions of a memory budget, n bytes if
// there are as many.
func (e *Engine) DropBindings(a TenantBudget, n int64) {
	for _, s := range (idleBindings{e}).sessions() {
		if n > 0 && s.budget.payer == a {
			n -= s.dropIdle()
		}
	}
}

// dropIdle drops the session's bindings unless a call runs, and returns the
// number of bytes dropped. It does not wait, and may be called to make room in
// the budget.
func (s *Session) dropIdle() int64 {
	if !s.run.TryLock() {
		return 0
	}
	defer s.run.Unlock()
	return s.dropBindings(0, nil)
}

// idle is the number of bytes that dropIdle would drop.
func (s *Session) idle() (n int64) {
	if !s.run.TryLock() {
		return 0
	}
	defer s.run.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bound {
		n += b.counted()
	}
	return n
}

// idleBindings are those of sessions in which no call runs.
type idleBindings struct{ e *Engine }

// Idle implements [budget.Holder].
func (x idleBindings) Idle() (n int64) {
	for _, s := range x.sessions() {
		n += s.idle()
	}
	return n
}

// Reclaim implements [budget.Holder].
func (x idleBindings) Reclaim(n int64) {
	for _, s := range x.sessions() {
		if n <= 0 {
			return
		}
		n -= s.dropIdle()
	}
}

// sessions lists the sessions, least recently called first.
func (x idleBindings) sessions() []*Session {
	list := x.e.openSessions()
	last := make(map[*Session]uint64, len(list))
	for _, s := range list {
		last[s] = s.last.Load()
	}
	slices.SortFunc(list, func(a, b *Session) int { return cmp.Compare(last[a], last[b]) })
	return list
}

func (e *Engine) openSessions() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]*Session, 0, len(e.sessions))
	for s := range e.sessions {
		list = append(list, s)
	}
	return list
}
