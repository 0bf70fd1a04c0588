package route

import "time"

// LeastLoaded sends each request to the worker with the fewest requests, and knows
// nothing else of it.
type LeastLoaded struct{ draw uint64 }

// NewLeastLoaded makes the policy; the seed decides among equals.
func NewLeastLoaded(seed uint64) *LeastLoaded { return &LeastLoaded{draw: mix(seed)} }

// Name is "least-loaded".
func (*LeastLoaded) Name() string { return "least-loaded" }

// Route implements [Policy].
func (p *LeastLoaded) Route(t *Table, r Request, now time.Time) (Decision, error) {
	n := t.Len()
	if n == 0 {
		return Decision{}, ErrNoWorker
	}
	p.draw = mix(p.draw)
	at, best := int(within(p.draw, uint64(n))), -1
	for i := range n {
		j := (at + i) % n
		e := &t.entries[j]
		if e.takes(&r, now) && (best < 0 || e.requests() < t.entries[best].requests()) {
			best = j
		}
	}
	if best < 0 {
		return Decision{}, ErrNoWorker
	}
	return t.to(best, ByLoad), nil
}
