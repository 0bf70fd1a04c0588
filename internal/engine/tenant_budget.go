package engine

import (
	"github.com/genie-sdk/go/transport"
)

// unbounded is the budget of a session that has no other.
type unbounded struct{}

func (unbounded) Take(int64) error { return nil }
func (unbounded) Give(int64)       {}

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
