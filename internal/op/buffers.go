package op

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Lifetime is when a value's memory is in use: from the position that writes
// it to the last one that touches it, both inclusive.
type Lifetime struct{ Value, Def, Last int }

// AssignBuffers shares buffers between values of p that are never alive at one
// time. It gives the buffer of each of them, in the order given, and the number
// of buffers. Sizes are compared at a typical binding; whatever the real one
// is, a buffer takes the largest of its values.
func AssignBuffers(p *plan.Plan, lives []Lifetime) (buffers []int, n int) {
	typical := plan.Bindings{}
	for _, s := range p.Symbols() {
		typical[s] = 64
	}
	size := func(v int) int64 {
		n := int64(p.Values[v].Spec.DType.Size())
		for _, d := range p.Values[v].Spec.Shape {
			k, err := d.Eval(typical)
			if err != nil {
				k = 64
			}
			n *= int64(k)
		}
		return n
	}
	type buffer struct {
		free int // first position at which it can be written again
		size int64
	}
	order := make([]int, len(lives))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return lives[a].Def - lives[b].Def })
	buffers = make([]int, len(lives))
	var all []buffer
	for _, i := range order {
		need, best := size(lives[i].Value), -1
		for k, b := range all {
			if b.free > lives[i].Def {
				continue
			}
			if best < 0 || better(b.size, all[best].size, need) {
				best = k
			}
		}
		if best < 0 {
			best = len(all)
			all = append(all, buffer{})
		}
		all[best] = buffer{free: lives[i].Last + 1, size: max(need, all[best].size)}
		buffers[i] = best
	}
	return buffers, len(all)
}

// better reports whether a free buffer of size a suits need better than one of
// size b: the smallest that is large enough, else the largest.
func better(a, b, need int64) bool {
	switch {
	case a >= need && b >= need:
		return a < b
	case a >= need || b >= need:
		return a >= need
	}
	return a > b
}
