package route

import "time"

// PowerOfTwo draws two workers and takes the one with fewer requests (Mitzenmacher,
// "The power of two choices in randomized load balancing", 2001).
type PowerOfTwo struct{ draw uint64 }

// NewPowerOfTwo makes the policy.
func NewPowerOfTwo(seed uint64) *PowerOfTwo { return &PowerOfTwo{draw: mix(seed)} }

// Name is "power-of-two".
func (*PowerOfTwo) Name() string { return "power-of-two" }

// Route implements [Policy].
func (p *PowerOfTwo) Route(t *Table, r Request, now time.Time) (Decision, error) {
	p.draw = mix(p.draw)
	a, err := t.firstFrom(p.draw, &r, now)
	if err != nil {
		return a, err
	}
	p.draw = mix(p.draw)
	b, err := t.firstFrom(p.draw, &r, now)
	if err != nil {
		return a, nil //nolint:nilerr // there is the first
	}
	if t.entries[b.index].requests() < t.entries[a.index].requests() {
		a = b
	}
	a.Reason = ByLoad
	return a, nil
}
