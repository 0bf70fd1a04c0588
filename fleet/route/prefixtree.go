package route

import "time"

// PrefixTreeOptions are the thresholds of [PrefixTree]; zero values mean the defaults
// that the published router documents.
type PrefixTreeOptions struct {
	Match       float64 // share of the prompt that must be held, 0.3
	BalanceMore int     // requests by which the loads differ when they are not balanced, 64
	BalanceRate float64 // and by which factor, 1.5
}

// PrefixTree is prefix-aware routing after the policy cache_aware of the SGLang router
// (github.com/sgl-project/sglang, sgl-router/src/policies/cache_aware.rs): while the
// loads are balanced, a request goes to the worker that got the longest prefix of it
// before, when that is more than a share of it, and else to the worker with the
// smallest tree; while they are not, to the one with the fewest requests. The tree is
// the router's own, from what it sent where; here it is one of blocks of tokens.
type PrefixTree struct {
	o     PrefixTreeOptions
	least *LeastLoaded
	tree  *knowledge
	size  map[int64]int // blocks by worker
	found []holder
}

// NewPrefixTree makes the policy.
func NewPrefixTree(o PrefixTreeOptions, seed uint64) *PrefixTree {
	if o.Match <= 0 {
		o.Match = 0.3
	}
	if o.BalanceMore <= 0 {
		o.BalanceMore = 64
	}
	if o.BalanceRate <= 0 {
		o.BalanceRate = 1.5
	}
	return &PrefixTree{o: o, least: NewLeastLoaded(seed), tree: newKnowledge(1 << 20), size: map[int64]int{}}
}

// Name is "prefix-tree".
func (*PrefixTree) Name() string { return "prefix-tree" }

// Route implements [Policy].
func (p *PrefixTree) Route(t *Table, r Request, now time.Time) (Decision, error) {
	d, err := p.pick(t, &r, now)
	if err != nil {
		return d, err
	}
	serial := t.entries[d.index].serial
	p.tree.learn(r.Prefix, serial)
	p.size[serial] += len(r.Prefix) - d.Reused/BlockTokens
	return d, nil
}

func (p *PrefixTree) pick(t *Table, r *Request, now time.Time) (Decision, error) {
	if !p.balanced(t) {
		return p.least.Route(t, *r, now)
	}
	p.found = p.tree.longest(r.Prefix, p.found[:0])
	for _, h := range p.found {
		i := t.bySerial(h.serial)
		if i < 0 || !t.entries[i].takes(r, now) || float64(h.blocks) <= p.o.Match*float64(len(r.Prefix)) {
			continue
		}
		d := t.to(i, ByPrefix)
		d.Reused = h.blocks * BlockTokens
		return d, nil
	}
	best := -1
	for i := range t.entries {
		e := &t.entries[i]
		if e.takes(r, now) && (best < 0 || p.size[e.serial] < p.size[t.entries[best].serial]) {
			best = i
		}
	}
	if best < 0 {
		return Decision{}, ErrNoWorker
	}
	return t.to(best, ByRule), nil
}

// balanced compares the most and the fewest requests.
func (p *PrefixTree) balanced(t *Table) bool {
	if len(t.entries) == 0 {
		return true
	}
	fewest, most := t.entries[0].requests(), 0
	for i := range t.entries {
		n := t.entries[i].requests()
		fewest, most = min(fewest, n), max(most, n)
	}
	return most-fewest <= p.o.BalanceMore || float64(most) <= p.o.BalanceRate*float64(fewest)
}
