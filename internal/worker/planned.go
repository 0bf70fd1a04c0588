package worker

import (
	"fmt"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// takePlan counts a program that a session of the identity uses: once, however
// many sessions use it.
func (t *tenant) takePlan(p Program) error {
	if t.shares(p) {
		return nil
	}
	if err := t.bytes.take(p.Size()); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.programs[p]++; t.programs[p] > 1 { // another session was faster
		t.bytes.give(p.Size())
	}
	return nil
}

// shares counts one more user of a program that the identity already has.
func (t *tenant) shares(p Program) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.programs[p] == 0 {
		return false
	}
	t.programs[p]++
	return true
}

// givePlan undoes a takePlan.
func (t *tenant) givePlan(p Program) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.programs[p]--; t.programs[p] == 0 {
		delete(t.programs, p)
		t.bytes.give(p.Size())
	}
}

// setPlan gives a plan its number. The tenant is charged for it.
func (s *session) setPlan(num uint32, p Program) error {
	held := int64(preparedBytes + len(p.Plan().Inputs))
	if err := s.srv.charge(s.tenant, held, "a plan of a session"); err != nil {
		return err
	}
	first := false
	defer func() {
		if !first {
			s.srv.uncharge(s.tenant, held)
		}
	}()
	if err := s.tenant.takePlan(p); err != nil {
		return err
	}
	defer func() {
		if !first {
			s.tenant.givePlan(p)
		}
	}()
	var err error
	first, err = s.number(num, p, held)
	return err
}

// number is setPlan of a plan that has been paid for; first is false if that
// was not needed.
func (s *session) number(num uint32, p Program, held int64) (first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.plans[num]
	switch {
	case old != nil && old.program.Hash() != p.Hash():
		return false, fmt.Errorf("%w: plan number %d is taken", transport.ErrProtocol, num)
	case old != nil && old.program == p:
		return false, nil
	case old == nil && len(s.plans) >= wire.MaxPlans:
		return false, fmt.Errorf("%w: %d plans in this session", transport.ErrLimit, len(s.plans))
	}
	keeps := 0
	for _, o := range p.Plan().Outputs {
		if o.Place == plan.Retain {
			keeps++
		}
	}
	next := &prepared{program: p, layout: &wire.Layout{Plan: p.Plan(), Symbols: p.Symbols(), Bound: &s.srv.bound}, causes: &inputCauses{}, keeps: keeps, held: held}
	if old != nil { // another program of the same plan
		next.causes, next.challenge = old.causes, old.challenge
		s.tenant.givePlan(old.program)
		s.srv.uncharge(s.tenant, old.held)
	} else if err := s.tenant.plans.take(1); err != nil {
		return false, err
	}
	s.plans[num] = next
	return true, nil
}

// dropPlan removes a plan's number.
func (s *session) dropPlan(num uint32, p Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.plans[num]; old != nil {
		s.unplan(old)
	}
	delete(s.plans, num)
	for _, other := range s.plans {
		if other.program == p {
			return
		}
	}
	s.es.Leave(p)
}

// unplan ends the tenant's charge for a plan of the session.
func (s *session) unplan(p *prepared) {
	s.tenant.plans.give(1)
	s.tenant.givePlan(p.program)
	s.srv.uncharge(s.tenant, p.held)
}

// leavePlans does so for all plans.
func (s *session) leavePlans() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.plans {
		s.unplan(p)
	}
}
