package simulation

import "github.com/genie-sdk/go/fleet/route"

// routers are the policies of package route, that of this module first.
var routers = []struct {
	name   string
	learns bool // it reads what the table learned
	make   func(seed uint64) route.Policy
}{
	{"meaning", true, func(seed uint64) route.Policy { return route.NewMeaning(route.MeaningOptions{Seed: seed}) }},
	{"prefix-tree", false, func(seed uint64) route.Policy { return route.NewPrefixTree(route.PrefixTreeOptions{}, seed) }},
	{"prefix-cost", true, func(seed uint64) route.Policy { return route.NewPrefixCost(0, seed) }},
	{"least-loaded", false, func(seed uint64) route.Policy { return route.NewLeastLoaded(seed) }},
	{"power-of-two", false, func(seed uint64) route.Policy { return route.NewPowerOfTwo(seed) }},
	{"round-robin", false, func(uint64) route.Policy { return &route.RoundRobin{} }},
	{"random", false, func(seed uint64) route.Policy { return route.NewRandom(seed) }},
}

// Routers names the routers.
func Routers() []string {
	out := make([]string, len(routers))
	for i, r := range routers {
		out[i] = r.name
	}
	return out
}

func newPolicy(name string, seed uint64) (p route.Policy, learns bool) {
	for _, r := range routers {
		if r.name == name {
			return r.make(seed), r.learns
		}
	}
	return nil, false
}
