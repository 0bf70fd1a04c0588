package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// expandOfExpand leaves an expand out that changes nothing, makes one of two,
// and leaves a reshape out that only puts axes of one in front: a node fewer.
func expandOfExpand(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	switch {
	case x.spec.Shape.Equal(n.spec.Shape):
		return x, true
	case x.is("expand"):
		return b.make(n.op, x.in[0]), true
	}
	if y, ok := withoutLeadingOnes(x); ok {
		return b.make(n.op, y), true
	}
	return nil, false
}

// pointwiseOfExpand computes on what an expand repeats, not on the repetitions:
// an operand that broadcasting repeats needs no expand, and what all operands
// repeat is repeated once, after. The same goes for axes of one in front of a
// shape. There are fewer nodes between the operator and its operands.
func pointwiseOfExpand(b *builder, n *node) (*node, bool) {
	if !n.op.Traits().Pointwise {
		return nil, false
	}
	in, specs := slices.Clone(n.in), make([]plan.Spec, len(n.in))
	for i, x := range in {
		specs[i] = x.spec
	}
	for i, x := range in {
		y, ok := x, false
		if x.is("expand") {
			y, ok = x.in[0], true
		} else if len(in) > 1 {
			y, ok = withoutLeadingOnes(x)
		}
		if !ok {
			continue
		}
		in[i], specs[i] = y, y.spec
		s, err := n.op.Infer(specs)
		if err != nil || !x.is("expand") && !s.Shape.Equal(n.spec.Shape) {
			in[i], specs[i] = x, x.spec
		}
	}
	if slices.Equal(in, n.in) {
		return nil, false
	}
	s := b.make(n.op, in...)
	if s == bad || s.spec.Shape.Equal(n.spec.Shape) {
		return s, true
	}
	return b.make(op.Expand{Shape: n.spec.Shape}, s), true
}

// productOfExpand leaves an expand of an operand's batch axes out that the
// product's broadcasting does: a node fewer.
func productOfExpand(b *builder, n *node) (*node, bool) {
	in := slices.Clone(n.in)
	for i, x := range in {
		if !x.is("expand") || x.in[0].rank() < 2 || !x.in[0].dim(-1).Equal(x.dim(-1)) || !x.in[0].dim(-2).Equal(x.dim(-2)) {
			continue
		}
		in[i] = x.in[0]
		s, err := n.op.Infer([]plan.Spec{in[0].spec, in[1].spec})
		if err != nil || !s.Shape.Equal(n.spec.Shape) {
			in[i] = x
		}
	}
	if slices.Equal(in, n.in) {
		return nil, false
	}
	return b.make(n.op, in...), true
}

// gatherOfExpand gathers by the indices that an expand repeats, and repeats the
// rows after: as many nodes, and fewer rows.
func gatherOfExpand(b *builder, n *node) (*node, bool) {
	x := n.in[1]
	if !x.is("expand") {
		return nil, false
	}
	return b.make(op.Expand{Shape: n.spec.Shape}, b.make(n.op, n.in[0], x.in[0])), true
}

// withoutLeadingOnes is the input of a reshape that only puts axes of one in
// front of it.
func withoutLeadingOnes(n *node) (*node, bool) {
	if !n.is("reshape") {
		return nil, false
	}
	x := n.in[0]
	more := n.rank() - x.rank()
	if more <= 0 || !n.spec.Shape[more:].Equal(x.spec.Shape) {
		return nil, false
	}
	for _, d := range n.spec.Shape[:more] {
		if !d.Is(1) {
			return nil, false
		}
	}
	return x, true
}

// vectorWithoutLeadingOnes drops the axes of one in front of a weight that is a
// vector and an operand of arithmetic, where broadcasting adds them: one form of
// many, of rank 1.
func vectorWithoutLeadingOnes(b *builder, n *node) (*node, bool) {
	in := slices.Clone(n.in)
	for i, x := range in {
		if !x.isWeight() || x.rank() < 2 || n.in[1-i].rank() < x.rank() || !x.spec.Shape[:x.rank()-1].Elements().Is(1) {
			continue
		}
		in[i] = b.reshape(x, x.dim(-1))
	}
	if slices.Equal(in, n.in) {
		return nil, false
	}
	return b.make(n.op, in...), true
}
