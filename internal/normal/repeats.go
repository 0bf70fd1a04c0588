package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// timesOnes makes an expand of a product with ones that broadcasts: a product
// less.
func timesOnes(b *builder, n *node) (*node, bool) {
	for i, x := range n.in {
		if v, ok := n.in[1-i].number(); !ok || v != 1 {
			continue
		}
		if x.spec.Shape.Equal(n.spec.Shape) {
			return x, true
		}
		return b.make(op.Expand{Shape: n.spec.Shape}, x), true
	}
	return nil, false
}

// concatOfCopies is a concat in which every input occurs the same number of
// times as views and an expand: each one in a row (k0, k0, k1, k1), or all again
// and again (k0, k1, k0, k1).
func (b *builder) concatOfCopies(n *node) (*node, bool) {
	if !n.is("concat") {
		return nil, false
	}
	axis := wrap(n.op.(op.Concat).Axis, n)
	size := n.in[0].dim(axis)
	for _, x := range n.in {
		if !x.dim(axis).Equal(size) {
			return nil, false
		}
	}
	if r := runLength(n.in); r > 1 {
		parts := every(n.in, r)
		return b.copies(n, b.concatOf(axis, parts), axis, len(parts), r, size)
	}
	if p := period(n.in); p < len(n.in) {
		return b.copies(n, b.concatOf(axis, n.in[:p]), axis, 1, len(n.in)/p, size.Scale(p))
	}
	return nil, false
}

// concatOf is the concat of some values, of one the value itself.
func (b *builder) concatOf(axis int, in []*node) *node {
	if len(in) == 1 {
		return in[0]
	}
	return b.make(op.Concat{Axis: axis}, in...)
}

// copies is x with each of its parts along the axis r times.
func (b *builder) copies(n, x *node, axis, parts, r int, size plan.Dim) (*node, bool) {
	if x == bad {
		return nil, false
	}
	shape := slices.Delete(slices.Clone(x.spec.Shape), axis, axis+1)
	single := slices.Insert(slices.Clone(shape), axis, plan.C(parts), plan.C(1), size)
	full := slices.Insert(slices.Clone(shape), axis, plan.C(parts), plan.C(r), size)
	if len(full) > plan.MaxRank {
		return nil, false
	}
	x = b.reshape(x, single...)
	if x == bad {
		return nil, false
	}
	if x = b.make(op.Expand{Shape: full}, x); x == bad {
		return nil, false
	}
	return b.reshape(x, n.spec.Shape...), true
}

// runLength is how many times each value follows itself, if that is the same
// for all of them and no run continues the one before it.
func runLength[T comparable](list []T) int {
	r := 1
	for r < len(list) && list[r] == list[0] {
		r++
	}
	if len(list)%r != 0 {
		return 1
	}
	for i, x := range list {
		if x != list[i-i%r] || i >= r && i%r == 0 && x == list[i-1] {
			return 1
		}
	}
	return r
}

// every is the first of each r values.
func every[T any](list []T, r int) []T {
	var out []T
	for i := 0; i < len(list); i += r {
		out = append(out, list[i])
	}
	return out
}

// period is the number of values after which the list repeats.
func period[T comparable](list []T) int {
	for p := 1; p <= len(list)/2; p++ {
		if len(list)%p == 0 && slices.Equal(list[p:], list[:len(list)-p]) {
			return p
		}
	}
	return len(list)
}
