package normal

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// ropeAngles computes cosines and sines in the shape that a rotation reads them
// in: a reshape that only adds or drops axes of one goes from their results to
// their operands. There are fewer elementwise operators below reshapes.
func ropeAngles(b *builder, n *node) (*node, bool) {
	in := slices.Clone(n.in)
	for i := range in[1:] {
		in[i+1] = b.unitsBelow(in[i+1], maxDepth)
	}
	if slices.Equal(in, n.in) {
		return nil, false
	}
	return b.make(n.op, in...), true
}

// unitsBelow is n with all reshapes that add and drop axes of one below its
// elementwise operators.
func (b *builder) unitsBelow(n *node, depth int) *node {
	if n = b.unitsFirst(n, depth); n.op == nil || depth == 0 || n.wanted || !n.op.Traits().Pointwise {
		return n
	}
	in := slices.Clone(n.in)
	for i, x := range in {
		in[i] = b.unitsBelow(x, depth-1)
	}
	if slices.Equal(in, n.in) {
		return n
	}
	return b.make(n.op, in...)
}

// unitsFirst is n, a reshape of elementwise operators that only adds or drops
// axes of one, with the reshape of their operands.
func (b *builder) unitsFirst(n *node, depth int) *node {
	if !n.is("reshape") || depth == 0 {
		return n
	}
	x := n.in[0]
	if x.op == nil || x.wanted || !x.op.Traits().Pointwise || x.rank() == 0 {
		return n
	}
	at, ok := matchAxes(x.spec.Shape, n.spec.Shape, x.rank()-1)
	lastStays := ok && at == n.rank()-1
	in := make([]*node, len(x.in))
	for i, y := range x.in {
		if v, ok := b.vector(y, x.dim(-1)); y.rank() == 0 || len(y.spec.Shape) == 1 && y.dim(0).Is(1) {
			in[i] = y
			continue
		} else if ok && lastStays {
			in[i] = v // along the last axis, which stays the last one
			continue
		}
		s, ok := unitsOf(leadingOnes(y.spec.Shape, x.rank()), x.spec.Shape, n.spec.Shape)
		if !ok {
			return n
		}
		in[i] = b.unitsFirst(b.reshape(y, s...), depth-1)
	}
	specs := make([]plan.Spec, len(in))
	for i, y := range in {
		specs[i] = y.spec
	}
	if s, err := x.op.Infer(specs); err != nil || !s.Shape.Equal(n.spec.Shape) {
		return n
	}
	return b.make(x.op, in...)
}

// unitsOf is the shape of an operand, broadcast to from, once from is reshaped to
// to, which has the same axes but for those of size one.
func unitsOf(s, from, to plan.Shape) (out plan.Shape, ok bool) {
	out = make(plan.Shape, len(to))
	i := 0
	for j, d := range to {
		if d.Is(1) {
			out[j] = d
			continue
		}
		for i < len(from) && from[i].Is(1) {
			i++
		}
		if i == len(from) || !from[i].Equal(d) {
			return nil, false
		}
		out[j] = s[i]
		i++
	}
	return out, true
}
