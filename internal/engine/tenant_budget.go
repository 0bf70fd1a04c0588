package engine

import (
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// TenantBudget is the memory budget of one tenant's sessions. It is safe for
// concurrent use.
type TenantBudget interface {
	// Take counts n bytes before they are taken, or refuses them.
	Take(n int64) error
	// Give counts n bytes that have been released.
	Give(n int64)
}

// unbounded is the budget of a session that has no other.
type unbounded struct{}

func (unbounded) Take(int64) error { return nil }
func (unbounded) Give(int64)       {}

// sessionBudget is the memory budget of one session: its own limit, and the
// budget of its tenant.
type sessionBudget struct {
	limit int64 // bytes; 0 for none
	used  atomic.Int64
	payer TenantBudget
}

// Take implements [TenantBudget].
func (p *sessionBudget) Take(n int64) error {
	if used := p.used.Add(n); p.limit > 0 && used > p.limit {
		p.used.Add(-n)
		return &transport.MemoryError{Need: n, Free: max(0, p.limit-used+n), Limit: p.limit, For: "state and retained values of one session"}
	}
	err := p.payer.Take(n)
	if err != nil {
		p.used.Add(-n)
	}
	return err
}

// Give implements [TenantBudget].
func (p *sessionBudget) Give(n int64) {
	p.used.Add(-n)
	p.payer.Give(n)
}

// Charge makes the session take its memory, carried state and retained values,
// from another budget too. It must be called before the session's first call.
func (s *Session) Charge(a TenantBudget) { s.budget.payer = a }
