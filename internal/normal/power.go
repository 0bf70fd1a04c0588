package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// powerByConstant writes small powers as what they are: x, x*x, x*x*x, sqrt,
// rsqrt, reciprocal. There is one pow fewer.
func powerByConstant(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	e, ok := n.in[1].scalar()
	if !ok || !sameSpec(x.spec, n.spec) {
		return nil, false
	}
	switch e {
	case 1:
		return x, true
	case 2:
		return b.make(op.Mul(), x, x), true
	case 3:
		return b.make(op.Mul(), b.make(op.Mul(), x, x), x), true
	case 0.5:
		return b.make(op.Sqrt{}, x), true
	case -0.5:
		return b.make(op.Rsqrt(), x), true
	case -1:
		return b.make(op.Reciprocal(), x), true
	}
	return nil, false
}

// rootOfQuotient makes rsqrt of the reciprocal of a root, in either order: a node
// fewer.
func rootOfQuotient(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	if n.is("sqrt") && x.is("reciprocal") || n.is("reciprocal") && x.is("sqrt") {
		return b.make(op.Rsqrt(), x.in[0]), true
	}
	return nil, false
}

// quotient makes a reciprocal of a quotient of one, and the product with rsqrt
// of a quotient by a root: a div fewer.
func quotient(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	x, y := n.in[0], n.in[1]
	if c, ok := x.scalar(); ok && c == 1 && sameSpec(y.spec, n.spec) {
		return b.make(op.Reciprocal(), y), true
	}
	if y.is("sqrt") {
		return b.make(op.Mul(), x, b.make(op.Rsqrt(), y.in[0])), true
	}
	return nil, false
}

// productWithReciprocal makes a quotient of the product with a reciprocal: a
// node fewer.
func productWithReciprocal(b *builder, n *node) (*node, bool) {
	for i, x := range n.in {
		if x.is("reciprocal") {
			if _, scale := n.in[1-i].scalar(); !scale {
				return b.make(op.Div(), n.in[1-i], x.in[0]), true
			}
		}
	}
	return nil, false
}
