package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// gatherKnown makes views of a gather along an axis by constant indices: a slice
// if they count, and an expand if each index, or the whole list, is repeated. It
// lowers the number of gathers.
func gatherKnown(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	axis := wrap(n.op.(op.Gather).Axis, x)
	size, ok := x.dim(axis).Const()
	index := n.in[1].ints()
	if !ok || len(index) == 0 || n.in[1].rank() > 1 {
		return nil, false
	}
	list := make([]int, len(index))
	for i, v := range index {
		if v < 0 {
			v += int64(size)
		}
		if v < 0 || v >= int64(size) {
			return nil, false
		}
		list[i] = int(v)
	}
	run, times := list, 1 // what counts, and how often each index or the list occurs
	inner := true
	if r := runLength(list); r > 1 {
		run, times = every(list, r), r
	} else if p := period(list); p < len(list) {
		run, times, inner = list[:p], len(list)/p, false
	}
	for i, v := range run {
		if v != run[0]+i {
			return nil, false
		}
	}
	out := b.make(op.Slice{Axis: axis, Start: plan.C(run[0]), Stop: plan.C(run[0] + len(run))}, x)
	if times > 1 && out != bad {
		parts, part := len(run), plan.C(1)
		if !inner {
			parts, part = 1, plan.C(len(run))
		}
		shape := slices.Clone(out.spec.Shape)
		shape[axis] = plan.C(len(list))
		flat := &node{spec: plan.Spec{DType: x.spec.DType, Shape: shape}}
		if out, ok = b.copies(flat, out, axis, parts, times, part); !ok {
			return nil, false
		}
	}
	if out == bad {
		return nil, false
	}
	return b.reshape(out, n.spec.Shape...), true
}
