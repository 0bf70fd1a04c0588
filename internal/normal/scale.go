package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// scaleByConstant gives a product with a constant, a quotient by one and a
// negation the form mul(x, c), and makes one scale of a chain: a node fewer, or a
// form nearer to the normal one. A quotient becomes the product with the
// reciprocal if that is a normal float32.
func scaleByConstant(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	switch n.op.Name() {
	case "neg":
		return b.scale(n.in[0], -1), true
	case "div":
		c, ok := n.in[1].scalar()
		if ok && sameSpec(n.in[0].spec, n.spec) && usual(float64(c)) && usual(1/float64(c)) {
			return b.scale(n.in[0], float32(1/float64(c))), true
		}
		return nil, false
	}
	x, k := n.in[0], n.in[1]
	c, ok := k.scalar()
	if !ok {
		x, k = k, x
		c, ok = k.scalar()
	}
	if !ok || !sameSpec(x.spec, n.spec) {
		return nil, false
	}
	if c == 1 {
		return x, true
	}
	if y, d, ok := x.scaled(); ok && mergeable(c, d) {
		return b.scale(y, c*d), true
	}
	if k == n.in[1] && k.constant && k.rank() == min(1, x.rank()) && len(k.data) == 4 {
		return nil, false
	}
	return b.scale(x, c), true
}

// usual reports whether a factor is a normal float32, not zero.
func usual(x float64) bool {
	return math.Abs(x) >= 0x1p-126 && math.Abs(x) <= math.MaxFloat32
}

// mergeable reports whether x*c*d is x*(c*d) for every x that a program is about:
// neither product leaves the range of float32 by itself.
func mergeable(c, d float32) bool {
	for _, v := range []float64{float64(c), float64(d), float64(c) * float64(d)} {
		if a := math.Abs(v); !(a >= 1e-20 && a <= 1e20) {
			return false
		}
	}
	return true
}

// sumWithConstant leaves an added zero out, and gives the constant of a sum the
// shape of a scale's: a node fewer, or a smaller constant. The sum of a negated
// value and another is their difference: a node fewer.
func sumWithConstant(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	for i, x := range n.in {
		y := n.in[1-i]
		if c, ok := y.scalar(); ok && sameSpec(x.spec, n.spec) {
			if c == 0 {
				return x, true
			}
			k := b.uniform(c, x)
			if i == 0 && (y == k || y.constant && len(y.data) == 4 && y.rank() == k.rank()) {
				break
			}
			return b.make(op.Add(), x, k), true
		}
	}
	for i, x := range n.in {
		if y, c, ok := x.scaled(); ok && c == -1 {
			return b.make(op.Sub(), n.in[1-i], y), true
		}
	}
	return nil, false
}

// uniform is the constant operand of a sum or a scale of x.
func (b *builder) uniform(c float32, x *node) *node {
	if x.rank() == 0 {
		return b.constF32([]float32{c})
	}
	return b.constF32([]float32{c}, 1)
}

// difference makes a sum of a difference whose subtrahend is a constant or a
// negation: a node fewer, or none.
func difference(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	x, y := n.in[0], n.in[1]
	if c, ok := y.scalar(); ok && sameSpec(x.spec, n.spec) {
		return b.make(op.Add(), x, b.uniform(-c, x)), true
	}
	if z, c, ok := y.scaled(); ok && c == -1 {
		return b.make(op.Add(), x, z), true
	}
	return nil, false
}
