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
// operand may be the rest of the value, which does not turn.
func ropeOfParts(b *builder, n *node) (*node, bool) {
	if wrap(n.op.(op.Concat).Axis, n) != n.rank()-1 || len(n.in) < 2 || n.spec.DType != plan.F32 {
		return nil, false
	}
	r, ok := b.rotationOf(n.in[0], n.in[1])
	if !ok || r.first.p != halved {
		return nil, false
	}
	stop, rest := r.first.end(), n.in[2:]
	if len(rest) > 0 {
		if s, ok := restOf(rest[0], r.first.x, stop); ok {
			stop, rest = s, rest[1:]
		}
	}
	y, ok := b.rotary(b.whole(r.first, stop), halved, r.first.half, r.cos, r.sin)
	if !ok || len(rest) == 0 {
		return y, ok
	}
	return b.make(n.op, slices.Concat([]*node{y}, rest)...), true
}

// rotationOf takes two turned elements together: (a*cos - b*sin, b*cos + a*sin).
func (b *builder) rotationOf(one, two *node) (r turned, ok bool) {
	f, ok := b.turnedOf(one, false)
	if !ok {
		return r, false
	}
	s, ok := b.turnedOf(two, true)
	if !ok || !s.first.before(f.second) {
		return r, false
	}
	if s.cos != f.cos || s.sin != f.sin {
		b.refuse("rope", "the elements of a pair turn by different angles")
		return r, false
	}
	if f.sign != -s.sign {
		b.refuse("rope", "the signs are not those of a rotation")
		return r, false
	}
	f.sin = b.scale(f.sin, float32(s.sign)) // -1 turns the other way
	return f, true
}

// restOf is where n ends if it is what follows the elements of x before from.
func restOf(n, x *node, from plan.Dim) (stop plan.Dim, ok bool) {
	s, ok := n.op.(op.Slice)
	if !ok || n.in[0] != x || wrap(s.Axis, n) != n.rank()-1 || !s.Start.Equal(from) {
		return stop, false
	}
	return s.Stop, true
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
	r, ok := b.rotationOf(one, two)
	if !ok || r.first.p != interleaved {
		return nil, false
	}
	y, ok := b.rotary(r.first.x, interleaved, r.first.half, r.cos, r.sin)
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
	if !ok || wrap(s.Axis, r.in[0]) != n.rank()-1 {
		return nil, false
	}
	x := r.in[0].in[0]
	stop, ok := restOf(n.in[1], x, s.Stop)
	if !ok {
		return nil, false
	}
	if o.Dims, ok = s.Stop.Sub(s.Start).Const(); !ok {
		return nil, false
	}
	return b.make(o, b.make(op.Slice{Axis: n.rank() - 1, Start: s.Start, Stop: stop}, x), r.in[1], r.in[2]), true
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
