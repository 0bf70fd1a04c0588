package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// sliceOfSplit makes a slice of an axis of what was a slice of the outer half of
// the axis split in two: reshape(slice(reshape(x))) is a slice of x. One reshape
// fewer.
func sliceOfSplit(b *builder, n *node) (*node, bool) {
	s := n.in[0]
	o, ok := s.op.(op.Slice)
	if !ok || !s.in[0].is("reshape") && !s.in[0].is("transpose") {
		return nil, false
	}
	v := s.in[0]
	axis := wrap(o.Axis, s)
	at, ok := mergedAxis(s.spec.Shape, n.spec.Shape, axis)
	if !ok {
		return nil, false
	}
	inner := v.dim(axis + 1)
	whole := v.dim(axis).Mul(inner)
	x := b.reshape(v, withAxis(n.spec.Shape, at, whole)...)
	if x.is("reshape") && x.in[0] == v {
		return nil, false // the axis was not split here
	}
	return b.make(op.Slice{Axis: at, Start: o.Start.Mul(inner), Stop: o.Stop.Mul(inner)}, x), true
}

// concatOfSplit joins along an axis what was joined along a new axis before it:
// reshape(stack(x, y)) is concat(x, y). One reshape fewer.
func concatOfSplit(b *builder, n *node) (*node, bool) {
	c := n.in[0]
	o, ok := c.op.(op.Concat)
	if !ok {
		return nil, false
	}
	axis := wrap(o.Axis, c)
	at, ok := mergedAxis(c.spec.Shape, n.spec.Shape, axis)
	if !ok || c.dim(axis+1).Is(1) {
		return nil, false
	}
	in := make([]*node, len(c.in))
	for i, x := range c.in {
		if !x.is("reshape") {
			return nil, false
		}
		in[i] = b.reshape(x, withAxis(n.spec.Shape, at, x.dim(axis).Mul(x.dim(axis+1)))...)
	}
	return b.make(op.Concat{Axis: at}, in...), true
}

// outerProduct makes a product over an axis of one elementwise: one product of
// matrices fewer. With a weight it is a layer, and stays.
func outerProduct(b *builder, n *node) (*node, bool) {
	o := n.op.(op.MatMul)
	x, y := n.in[0], n.in[1]
	if x.rank() < 2 || y.rank() < 2 || x.isWeight() || y.isWeight() {
		return nil, false
	}
	if inner := x.dim(-1); o.TransA && !x.dim(-2).Is(1) || !o.TransA && !inner.Is(1) {
		return nil, false
	}
	if o.TransA {
		x = b.lastTwo(x)
	}
	if o.TransB {
		y = b.lastTwo(y)
	}
	return b.make(op.Mul(), x, y), true
}

// lastTwo is x with its last two axes exchanged, one of which has size one.
func (b *builder) lastTwo(x *node) *node {
	s := append(plan.Shape{}, x.spec.Shape...)
	k := len(s)
	s[k-1], s[k-2] = s[k-2], s[k-1]
	return b.reshape(x, s...)
}

// transposedOuter transposes the operands of an elementwise product, where that
// moves axes of one alone: no transpose is left.
func transposedOuter(b *builder, n *node) (*node, bool) {
	perm, m := n.op.(op.Transpose).Perm, n.in[0]
	if !m.is("mul") || m.wanted {
		return nil, false
	}
	in := make([]*node, 2)
	for i, x := range m.in {
		full := x
		if x.rank() < m.rank() {
			full = b.reshape(x, leadingOnes(x.spec.Shape, m.rank())...)
		}
		s, ok := movesOnes(full.spec.Shape, perm)
		if !ok {
			return nil, false
		}
		in[i] = b.reshape(full, s...)
	}
	return b.make(op.Mul(), in...), true
}

// leadingOnes is a shape with axes of one in front, of the given rank.
func leadingOnes(s plan.Shape, rank int) plan.Shape {
	out := make(plan.Shape, rank)
	for i := range out {
		out[i] = plan.C(1)
	}
	copy(out[rank-len(s):], s)
	return out
}

// movesOnes is a transposed shape; ok reports whether the transpose leaves the
// order of the axes that are not one.
func movesOnes(s plan.Shape, perm []int) (out plan.Shape, ok bool) {
	last := -1
	for _, p := range perm {
		out = append(out, s[p])
		if s[p].Is(1) {
			continue
		}
		if p < last {
			return nil, false
		}
		last = p
	}
	return out, true
}
