package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// rotary makes a rotation of pairs. dims is the number of elements of x that
// rotate, if not all do.
func (b *builder) rotary(x *node, p pairs, half plan.Dim, cos, sin *node) (*node, bool) {
	o := op.RoPE{Interleaved: p == interleaved}
	if dims := half.Scale(2); !dims.Equal(x.dim(-1)) {
		var ok bool
		if o.Dims, ok = dims.Const(); !ok {
			return nil, false
		}
	}
	cos, sin = b.anglesFor(cos, x, half), b.anglesFor(sin, x, half)
	if cos == nil || sin == nil {
		return b.refuse("rope", "the cosines or sines do not have half the width")
	}
	if _, err := o.Infer([]plan.Spec{x.spec, cos.spec, sin.spec}); err != nil {
		return b.refuse("rope", "%v", err)
	}
	return b.make(o, x, cos, sin), true
}

// anglesFor drops the last axis of size one of angles that were multiplied with
// pieces that have it, and leading axes of one that x does not have.
func (b *builder) anglesFor(a, x *node, half plan.Dim) *node {
	s := a.spec.Shape
	if len(s) > 1 && s[len(s)-1].Is(1) && s[len(s)-2].Equal(half) {
		s = s[:len(s)-1]
	}
	for len(s) > x.rank() && s[0].Is(1) {
		s = s[1:]
	}
	if len(s) == 0 || !s[len(s)-1].Equal(half) {
		return nil
	}
	return b.reshape(a, s...)
}

// ropeOfParts makes the two turned halves of a value, joined, a rotation. A third
// operand is the rest of it, which does not turn.
func ropeOfParts(b *builder, n *node) (*node, bool) {
	if wrap(n.op.(op.Concat).Axis, n) != n.rank()-1 || len(n.in) < 2 || n.spec.DType != plan.F32 {
		return nil, false
	}
	x, r, ok := b.rotationOf(n.in[0], n.in[1])
	if !ok || r.p != halved {
		return nil, false
	}
	whole := len(n.in) == 2 && x.dim(-1).Equal(r.half.Scale(2))
	if !whole && !(len(n.in) == 3 && isRest(n.in[2], x, r.half.Scale(2))) {
		return b.partRotated(n, x, r)
	}
	return b.rotary(x, halved, r.half, r.cos, r.sin)
}

// partRotated makes the first two operands of a concat the rotation of a slice.
func (b *builder) partRotated(n, x *node, r turned) (*node, bool) {
	part := b.make(op.Slice{Axis: x.rank() - 1, Start: plan.C(0), Stop: r.half.Scale(2)}, x)
	y, ok := b.rotary(part, halved, r.half, r.cos, r.sin)
	if !ok {
		return nil, false
	}
	return b.make(n.op, slices.Concat([]*node{y}, n.in[2:])...), true
}

// rotationOf takes two turned elements together: (a*cos - b*sin, b*cos + a*sin).
func (b *builder) rotationOf(one, two *node) (x *node, r turned, ok bool) {
	f, ok := b.turnedOf(one, false)
	if !ok {
		return nil, r, false
	}
	s, ok := b.turnedOf(two, true)
	if !ok || s.x != f.x || s.p != f.p || !s.half.Equal(f.half) {
		return nil, r, false
	}
	if s.cos != f.cos || s.sin != f.sin {
		b.refuse("rope", "the elements of a pair turn by different angles")
		return nil, r, false
	}
	if f.sign != -1 || s.sign != 1 {
		b.refuse("rope", "the signs are not those of a rotation")
		return nil, r, false
	}
	return f.x, f, true
}

// isRest reports whether n is what follows the first elements of x.
func isRest(n, x *node, from plan.Dim) bool {
	s, ok := n.op.(op.Slice)
	return ok && n.in[0] == x && wrap(s.Axis, n) == n.rank()-1 && s.Start.Equal(from) && s.Stop.Equal(x.dim(-1))
}

// ropeOfPairs is [ropeOfParts] of pairs (2i, 2i+1): the turned elements joined
// along a new last axis.
func ropeOfPairs(b *builder, n *node) (*node, bool) {
	c := n.in[0]
	o, ok := c.op.(op.Concat)
	if !ok || len(c.in) != 2 || c.rank() < 2 || wrap(o.Axis, c) != c.rank()-1 || !c.in[0].dim(-1).Is(1) || !c.in[1].dim(-1).Is(1) || n.spec.DType != plan.F32 {
		return nil, false
	}
	if at, ok := mergedAxis(c.spec.Shape, n.spec.Shape, c.rank()-2); !ok || at != n.rank()-1 {
		return nil, false
	}
	one, two := c.in[0], c.in[1]
	if one.is("reshape") && two.is("reshape") {
		one, two = one.in[0], two.in[0]
	}
	x, r, ok := b.rotationOf(one, two)
	if !ok || r.p != interleaved {
		return nil, false
	}
	y, ok := b.rotary(x, interleaved, r.half, r.cos, r.sin)
	if !ok {
		return nil, false
	}
	return b.reshape(y, n.spec.Shape...), true
}

// ropeRest makes a rotation of the first elements, joined with the others, a
// rotation with dims.
func ropeRest(b *builder, n *node) (*node, bool) {
	if len(n.in) != 2 || wrap(n.op.(op.Concat).Axis, n) != n.rank()-1 || b.wanted(n.in[0]) {
		return nil, false
	}
	r := n.in[0]
	o, ok := r.op.(op.RoPE)
	if !ok || o.Dims != 0 {
		return nil, false
	}
	s, ok := r.in[0].op.(op.Slice)
	if !ok || !s.Start.Is(0) || wrap(s.Axis, r.in[0]) != n.rank()-1 || !isRest(n.in[1], r.in[0].in[0], s.Stop) {
		return nil, false
	}
	if o.Dims, ok = s.Stop.Const(); !ok {
		return nil, false
	}
	return b.make(o, r.in[0].in[0], r.in[1], r.in[2]), true
}

// ropeTransposed rotates after axes before the last are exchanged, not before:
// one form of two, in which what follows reads a rotation.
func ropeTransposed(b *builder, n *node) (*node, bool) {
	perm, r := n.op.(op.Transpose).Perm, n.in[0]
	rank := n.rank()
	if !r.is("rope") || b.wanted(r) || perm[rank-1] != rank-1 {
		return nil, false
	}
	in := []*node{b.transpose(r.in[0], perm...), nil, nil}
	for i, a := range r.in[1:] {
		a = b.reshape(a, leadingOnes(a.spec.Shape, rank)...)
		if s, ok := movesOnes(a.spec.Shape, perm); ok {
			in[i+1] = b.reshape(a, s...)
		} else {
			in[i+1] = b.transpose(a, perm...)
		}
	}
	return b.make(r.op, in...), true
}
