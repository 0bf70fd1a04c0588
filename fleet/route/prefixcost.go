package route

import "time"

// PrefixCost is prefix-aware routing after the KV router of NVIDIA Dynamo
// (docs.nvidia.com/dynamo, "Router Design"): each worker costs the blocks of the
// prompt that it would compute, times a weight, plus the blocks of the sessions that
// it would then generate for; the least wins. It sees what workers hold, as that
// router does from their events.
type PrefixCost struct {
	weight float64
	draw   uint64
	known  []holder
}

// NewPrefixCost makes the policy; overlap is the weight of blocks to compute, 1 when 0.
func NewPrefixCost(overlap float64, seed uint64) *PrefixCost {
	if overlap <= 0 {
		overlap = 1
	}
	return &PrefixCost{weight: overlap, draw: mix(seed)}
}

// Name is "prefix-cost".
func (*PrefixCost) Name() string { return "prefix-cost" }

// Route implements [Policy].
func (p *PrefixCost) Route(t *Table, r Request, now time.Time) (Decision, error) {
	n := t.Len()
	if n == 0 {
		return Decision{}, ErrNoWorker
	}
	p.known = t.known.longest(r.Prefix, p.known[:0])
	p.draw = mix(p.draw)
	at, least := int(within(p.draw, uint64(n))), 0.0
	best := Decision{index: -1}
	prompt := float64(r.Tokens) / BlockTokens
	for i := range n {
		j := (at + i) % n
		e := &t.entries[j]
		if !e.takes(&r, now) {
			continue
		}
		reused := e.reuses(&r, p.known, now)
		if r.Home == e.w.ID {
			reused = max(reused, r.HomeTokens)
		}
		// The blocks of a worker's sessions are not among its facts: its requests stand
		// for them, each as long as this one.
		cost := p.weight*(prompt-float64(reused)/BlockTokens) + float64(e.requests()+1)*prompt
		if best.index < 0 || cost < least {
			best, least = t.to(j, ByLoad), cost
			if best.Reused = reused; reused > 0 {
				best.Reason = ByPrefix
			}
		}
	}
	if best.index < 0 {
		return Decision{}, ErrNoWorker
	}
	return best, nil
}
