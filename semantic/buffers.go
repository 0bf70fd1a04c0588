package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// assignBuffers gives every scratch value a buffer, sharing buffers between
// values that are never alive at one time. Sizes are compared at a typical
// binding; whatever the real one is, a buffer takes the largest of its values.
func assignBuffers(p *plan.Plan) error {
	r, err := op.Resolve(p)
	if err != nil {
		return err
	}
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
		free int // first step at which it can be written again
		size int64
	}
	var roots []int
	for v := range p.Values {
		p.Values[v].Buffer = plan.NoBuffer
		if r.InScratch(v) {
			roots = append(roots, v)
		}
	}
	slices.SortFunc(roots, func(a, b int) int { return r.Def[a] - r.Def[b] })
	var bufs []buffer
	for _, v := range roots {
		need, best := size(v), -1
		for i, b := range bufs {
			if b.free > r.Def[v] {
				continue
			}
			if best < 0 || better(b.size, bufs[best].size, need) {
				best = i
			}
		}
		if best < 0 {
			best = len(bufs)
			bufs = append(bufs, buffer{})
		}
		bufs[best] = buffer{free: r.Last[v] + 1, size: max(need, bufs[best].size)}
		p.Values[v].Buffer = best
	}
	for v := range p.Values {
		if b := r.Base[v]; b != v {
			p.Values[v].Buffer = p.Values[b].Buffer
		}
	}
	p.Buffers = len(bufs)
	return r.CheckBuffers()
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
