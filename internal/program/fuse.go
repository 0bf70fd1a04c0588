package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// fuse groups the steps that compute something, in the order in which the
// groups run.
func fuse(p *plan.Plan, res *op.Resolved, opts Options) []Group {
	f := &fuser{p: p, res: res, reader: make([]int, len(p.Values)), taken: make([]bool, len(p.Steps)), opts: opts}
	f.findReaders()
	f.findWrites()
	if opts.Elementwise != nil {
		f.findLeaves()
	}
	var groups []Group
	var pending []int
	for i := range p.Steps {
		if f.taken[i] || res.View[i] {
			continue
		}
		g, ok := f.attention(i)
		if !ok {
			g, ok = f.linear(i)
		}
		if !ok {
			g, ok = f.convolution(i)
		}
		if opts.Plain {
			s := &p.Steps[i]
			g = Group{Steps: []int{i}, In: s.In, Out: s.Out}
		} else if !ok || !f.movable(g) {
			g = f.alone(i)
		}
		if f.pending(&g) {
			pending = append(pending, i)
			continue
		}
		for _, k := range g.Steps {
			f.taken[k] = true
		}
		groups = append(groups, g)
	}
	for _, i := range pending {
		if f.taken[i] {
			continue
		}
		g, ok := f.elementwise(i)
		if !ok {
			g = f.alone(i)
		}
		for _, k := range g.Steps {
			f.taken[k] = true
		}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b Group) int { return a.Last() - b.Last() })
	return groups
}

// alone is the group of step i only.
func (f *fuser) alone(i int) Group {
	s := &f.p.Steps[i]
	if g, ok := f.attend(i); ok {
		return g
	}
	g := Group{Steps: []int{i}, In: s.In, Out: s.Out}
	if f.flatMatMul(i) {
		g.Kind = Linear
	}
	return g
}
