package route

import "time"

// Random sends each request to any worker. It is what random placement is worth.
type Random struct{ draw uint64 }

// NewRandom makes the policy.
func NewRandom(seed uint64) *Random { return &Random{draw: mix(seed)} }

// Name is "random".
func (*Random) Name() string { return "random" }

// Route implements [Policy].
func (p *Random) Route(t *Table, r Request, now time.Time) (Decision, error) {
	p.draw = mix(p.draw)
	return t.firstFrom(p.draw, &r, now)
}

// firstFrom is the first worker from a place on that takes the request.
func (t *Table) firstFrom(place uint64, r *Request, now time.Time) (Decision, error) {
	n := len(t.entries)
	if n == 0 {
		return Decision{}, ErrNoWorker
	}
	at := int(within(place, uint64(n)))
	for i := range n {
		if j := (at + i) % n; t.entries[j].takes(r, now) {
			return t.to(j, ByRule), nil
		}
	}
	return Decision{}, ErrNoWorker
}

// to is a decision without a prediction.
func (t *Table) to(i int, why Reason) Decision {
	w := &t.entries[i].w
	return Decision{Worker: w.ID, Address: w.Address, Reason: why, index: i}
}
