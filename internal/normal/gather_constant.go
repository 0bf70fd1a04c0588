package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// gatherOfConstant makes a slice of a gather whose positions are constant, one
// after the other, and views of one that takes every n-th position of a whole
// axis: a gather fewer.
func gatherOfConstant(b *builder, n *node) (*node, bool) {
	x, index := n.in[0], n.in[1].ints()
	if len(index) == 0 || len(index) > maxIndex {
		return nil, false
	}
	axis := wrap(n.op.(op.Gather).Axis, x)
	size, known := x.dim(axis).Const()
	for i, at := range index {
		if at < 0 && known {
			index[i] = at + int64(size)
		}
		if index[i] < 0 || known && index[i] >= int64(size) {
			return nil, false
		}
	}
	step := int64(1)
	if len(index) > 1 {
		step = index[1] - index[0]
	}
	for i, at := range index {
		if at != index[0]+int64(i)*step {
			return nil, false
		}
	}
	first, count := int(index[0]), len(index)
	switch {
	case step == 1:
	case step > 1 && known && size%int(step) == 0 && count == size/int(step) && first < int(step):
		// every step-th: pairs, for instance, along a new axis
		x = b.reshape(x, slices.Concat(x.spec.Shape[:axis], plan.Shape{plan.C(count), plan.C(int(step))}, x.spec.Shape[axis+1:])...)
		axis, count = axis+1, 1
	default:
		return nil, false
	}
	s := b.make(op.Slice{Axis: axis, Start: plan.C(first), Stop: plan.C(first + count)}, x)
	return b.reshape(s, n.spec.Shape...), true
}

// maxIndex bounds the positions that are looked at.
const maxIndex = 1 << 14
