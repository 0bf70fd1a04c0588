package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// reducedAxes gives the axes of a reduction one form: counted from the first, in
// order. There are fewer that are not.
func reducedAxes(b *builder, n *node) (*node, bool) {
	o := n.op.(op.Reduce)
	axes := make([]int, len(o.Axes))
	for i, a := range o.Axes {
		axes[i] = wrap(a, n.in[0])
	}
	slices.Sort(axes)
	if slices.Equal(axes, o.Axes) {
		return nil, false
	}
	return b.make(op.Reduce{Kind: o.Kind, Axes: axes, Keep: o.Keep}, n.in[0]), true
}

// reshapeOfReduction makes a reduction that retains its axes of one that drops
// them, where a reshape brings them back, and the other way round: one reshape
// fewer. Between the reduction and the reshape there may be elementwise
// operators of one operand.
func reshapeOfReduction(b *builder, n *node) (*node, bool) {
	var path []*node
	x := n.in[0]
	for len(path) < maxDepth && x.op != nil && x.op.Traits().Pointwise && !x.is("cast") {
		y, ok := onlyOperand(x)
		if !ok {
			return nil, false
		}
		path, x = append(path, x), y
	}
	o, ok := x.op.(op.Reduce)
	if !ok || x.wanted {
		return nil, false
	}
	other := op.Reduce{Kind: o.Kind, Axes: o.Axes, Keep: !o.Keep}
	s, err := other.Infer([]plan.Spec{x.in[0].spec})
	if err != nil || !s.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	y := b.make(other, x.in[0])
	for _, p := range slices.Backward(path) {
		in := slices.Clone(p.in)
		for i, z := range in {
			if v, ok := z.scalar(); ok {
				in[i] = b.constant(v, y)
			} else {
				in[i] = y
			}
		}
		y = b.make(p.op, in...)
	}
	return y, true
}

// onlyOperand is the operand of an elementwise operator whose other ones are
// constants.
func onlyOperand(n *node) (x *node, ok bool) {
	for _, y := range n.in {
		if _, scalar := y.scalar(); scalar {
			continue
		}
		if x != nil && x != y || !y.spec.Shape.Equal(n.spec.Shape) || y.spec.DType != plan.F32 {
			return nil, false
		}
		x = y
	}
	return x, x != nil && n.spec.DType == plan.F32
}

// constant is an f32 constant operand of x.
func (b *builder) constant(v float32, x *node) *node {
	if x.rank() == 0 {
		return b.constF32([]float32{v})
	}
	return b.constF32([]float32{v}, 1)
}
