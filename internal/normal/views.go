package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/axes"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// viewChain brings a chain of reshapes and transposes into its one form: a
// reshape that splits axes, a transpose and a reshape that merges them, each
// only where it is needed. It lowers the number of views, or leaves it and makes
// the form that stays.
func viewChain(b *builder, n *node) (*node, bool) {
	if !n.in[0].is("reshape") && !n.in[0].is("transpose") {
		return nil, false
	}
	var path []*node
	base := n
	for base.is("reshape") || base.is("transpose") {
		path = append(path, base)
		base = base.in[0]
	}
	l := layout{base, axes.New(base.spec.Shape), 1}
	for i := len(path) - 1; i >= 0; i-- {
		if !l.through(path[i]) {
			l = layout{path[i], axes.New(path[i].spec.Shape), 1}
			path = path[:i]
		}
	}
	if len(path) < 2 {
		return nil, false
	}
	split, perm, ok := arrangement(l.base.spec.Shape, l.axes)
	if !ok {
		return nil, false
	}
	chain := []op.Op{op.Reshape{Shape: split}, op.Transpose{Perm: perm}, op.Reshape{Shape: n.spec.Shape}}
	if slices.IsSorted(perm) {
		chain = chain[2:]
	} else {
		moved := make(plan.Shape, len(perm))
		for i, p := range perm {
			moved[i] = split[p]
		}
		if moved.Equal(n.spec.Shape) {
			chain = chain[:2]
		}
		if split.Equal(l.base.spec.Shape) {
			chain = chain[1:]
		}
	}
	if len(chain) > len(path) || len(chain) == len(path) && sameChain(chain, path) {
		return nil, false
	}
	x := l.base
	for _, o := range chain {
		x = b.make(o, x)
	}
	return x, true
}

// sameChain reports whether the operators are those of the nodes, which have the
// last one first.
func sameChain(chain []op.Op, path []*node) bool {
	for i, o := range chain {
		n := path[len(path)-1-i]
		if o.Name() != n.op.Name() || o.Attrs().Key() != n.op.Attrs().Key() {
			return false
		}
	}
	return true
}

// arrangement is the shape into which axes of the shape from are split, and the
// permutation of these, that brings the parts of target in its order. Foreign
// parts and parts of size one are left out.
func arrangement(from plan.Shape, target axes.Map) (split plan.Shape, perm []int, ok bool) {
	var order []axes.Part
	for _, g := range target {
		for _, p := range axes.Join(g) {
			if p.Axis != axes.Foreign && !p.Size.Is(1) {
				order = append(order, p)
			}
		}
	}
	perm = make([]int, len(order))
	for axis, d := range from {
		inner := plan.C(1)
		var at []int // outermost last
		for !inner.Equal(d) {
			next := slices.IndexFunc(order, func(p axes.Part) bool { return p.Axis == axis && p.Stride.Equal(inner) })
			if next < 0 || len(at) > len(order) {
				return nil, nil, false
			}
			at, inner = append(at, next), inner.Mul(order[next].Size)
		}
		for _, i := range slices.Backward(at) {
			perm[i] = len(split)
			split = append(split, order[i].Size)
		}
	}
	return split, perm, len(split) == len(order)
}
