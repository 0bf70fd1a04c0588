package normal

import (
	"bytes"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// maxTable bounds the weights whose content is compared, in bytes.
const maxTable = 32 << 20

// pairs says which elements of an axis belong together: i and i + half of it, or
// 2i and 2i+1.
type pairs bool

// The ways to pair.
const (
	halved      pairs = false
	interleaved pairs = true
)

// parts are the first and the second elements of the pairs of n's last axis, each
// half as wide, if they are known without a slice.
func (b *builder) parts(n *node, p pairs, depth int) (first, second *node, ok bool) {
	half, whole := n.dim(-1).Div(plan.C(2))
	if n.rank() == 0 || !whole || n.spec.DType != plan.F32 {
		return nil, nil, false
	}
	switch o := n.op.(type) {
	case nil:
		return b.leafParts(n, p)
	case op.Concat:
		if p == halved && wrap(o.Axis, n) == n.rank()-1 && len(n.in) == 2 && n.in[0].dim(-1).Equal(half) {
			return n.in[0], n.in[1], true
		}
	case op.Reshape:
		if x, y, ok := b.joinedPairs(n); ok && p == interleaved {
			return x, y, true
		}
		if x, ok := b.copiesOf(n, p); ok {
			return x, x, true
		}
		if n.in[0].rank() > 0 && n.in[0].dim(-1).Equal(n.dim(-1)) && depth > 0 {
			shape := withAxis(n.spec.Shape, n.rank()-1, half)
			return b.eachPart(n.in[0], p, depth, func(x *node) *node { return b.reshape(x, shape...) })
		}
	case op.Embedding:
		if b.equalParts(n.in[0], p) && p == halved {
			x := b.make(op.Slice{Axis: n.rank() - 1, Start: plan.C(0), Stop: half}, n)
			return x, x, true
		}
	default:
		if o.Traits().Pointwise && depth > 0 {
			return b.pointwiseParts(n, p, depth)
		}
	}
	return nil, nil, false
}

// eachPart is f of the parts of x.
func (b *builder) eachPart(x *node, p pairs, depth int, f func(*node) *node) (first, second *node, ok bool) {
	first, second, ok = b.parts(x, p, depth-1)
	if !ok {
		return nil, nil, false
	}
	if first == second {
		first = f(first)
		return first, first, first != bad
	}
	first, second = f(first), f(second)
	return first, second, first != bad && second != bad
}

// pointwiseParts are an elementwise operator of the parts of its operands; one
// that has one element along the last axis is the same for both.
func (b *builder) pointwiseParts(n *node, p pairs, depth int) (first, second *node, ok bool) {
	one, two := slices.Clone(n.in), slices.Clone(n.in)
	for i, x := range n.in {
		if x.rank() == 0 || x.dim(-1).Is(1) {
			continue
		}
		if one[i], two[i], ok = b.parts(x, p, depth-1); !ok {
			return nil, nil, false
		}
	}
	first = b.make(n.op, one...)
	if slices.Equal(one, two) {
		return first, first, first != bad
	}
	second = b.make(n.op, two...)
	return first, second, first != bad && second != bad
}

// leafParts are those of a constant, and of a weight whose parts are equal.
func (b *builder) leafParts(n *node, p pairs) (first, second *node, ok bool) {
	if n.isWeight() && p == halved && b.equalParts(n, p) {
		half, _ := n.dim(-1).Div(plan.C(2))
		x := b.make(op.Slice{Axis: n.rank() - 1, Start: plan.C(0), Stop: half}, n)
		return x, x, true
	}
	v := n.floats()
	shape, static := static(n.spec.Shape)
	if v == nil || !static || len(n.data) > maxFoldedInput {
		return nil, nil, false
	}
	width := shape[len(shape)-1]
	out := [2][]float32{}
	for i, x := range v {
		k := i % width / (width / 2)
		if p == interleaved {
			k = i % 2
		}
		out[k] = append(out[k], x)
	}
	shape[len(shape)-1] = width / 2
	return b.constF32(out[0], shape...), b.constF32(out[1], shape...), true
}

// equalParts reports whether the two halves of each row of a weight are the same
// bytes.
func (b *builder) equalParts(n *node, p pairs) bool {
	if !n.isWeight() || p != halved {
		return false
	}
	hash, storage := n.leaf.WeightRef()
	w, err := n.leaf.Graph().Weight(hash)
	shape, ok := static(n.spec.Shape)
	if err != nil || !ok || len(shape) == 0 || len(w.Data) == 0 || len(w.Data) > maxTable {
		return false
	}
	row := shape[len(shape)-1] * storage.Size()
	for at := 0; at+row <= len(w.Data); at += row {
		if !bytes.Equal(w.Data[at:at+row/2], w.Data[at+row/2:at+row]) {
			return false
		}
	}
	return true
}

// joinedPairs are x and y of reshape(stack(x, y)) along a new last axis.
func (b *builder) joinedPairs(n *node) (x, y *node, ok bool) {
	c := n.in[0]
	o, ok := c.op.(op.Concat)
	if !ok || c.rank() < 2 || wrap(o.Axis, c) != c.rank()-1 || len(c.in) != 2 || !c.in[0].dim(-1).Is(1) || !c.dim(-1).Is(2) {
		return nil, nil, false
	}
	at, ok := mergedAxis(c.spec.Shape, n.spec.Shape, c.rank()-2)
	if !ok || at != n.rank()-1 {
		return nil, nil, false
	}
	shape := withAxis(n.spec.Shape, at, c.dim(-2))
	return b.reshape(c.in[0], shape...), b.reshape(c.in[1], shape...), true
}

// copiesOf is x of a reshape that joins two copies of x along its last axis: one
// after the other, or element by element.
func (b *builder) copiesOf(n *node, p pairs) (*node, bool) {
	c := n.in[0]
	if !c.is("expand") {
		return nil, false
	}
	x := c.in[0]
	from := leadingOnes(x.spec.Shape, c.rank())
	copies, width, last := -1, -1, -1 // axes of the copies, of the other of the last two that are not one, and the last of these
	for i, d := range c.spec.Shape {
		if d.Is(1) {
			continue
		}
		if !from[i].Equal(d) {
			if copies >= 0 || !d.Is(2) {
				return nil, false
			}
			copies = i
		} else {
			width = i
		}
		last = i
	}
	if copies < 0 || width < 0 || (last == copies) != (p == interleaved) {
		return nil, false
	}
	for _, d := range c.spec.Shape[min(copies, width)+1 : max(copies, width)] {
		if !d.Is(1) {
			return nil, false
		}
	}
	to := withAxis(n.spec.Shape, n.rank()-1, c.dim(width))
	if at, ok := matchAxes(from, to, width); !ok || at != n.rank()-1 || !n.dim(-1).Equal(c.dim(width).Scale(2)) {
		return nil, false
	}
	return b.reshape(x, to...), true
}
