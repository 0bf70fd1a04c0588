package route

import "time"

// RoundRobin sends requests to one worker after the other.
type RoundRobin struct{ next int }

// NewRoundRobin makes the policy.
func NewRoundRobin() *RoundRobin { return &RoundRobin{} }

// Name is "round-robin".
func (*RoundRobin) Name() string { return "round-robin" }

// Route implements [Policy].
func (p *RoundRobin) Route(t *Table, r Request, now time.Time) (Decision, error) {
	n := t.Len()
	for range n {
		i := p.next % n
		p.next = i + 1
		if t.entries[i].takes(&r, now) {
			return t.to(i, ByRule), nil
		}
	}
	return Decision{}, ErrNoWorker
}
