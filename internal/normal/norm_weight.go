package normal

import "github.com/genie-sdk/go/internal/op"

// normWeight makes a product of a norm without a weight and a vector [n] the
// norm with that weight: one product fewer. A weight 1 + w of an RMS norm is w
// with offset 1.
func normWeight(b *builder, n *node) (*node, bool) {
	for i, x := range n.in {
		if !x.spec.Shape.Equal(n.spec.Shape) || len(x.in) != 1 || b.wanted(x) {
			continue
		}
		w, ok := b.vector(n.in[1-i], x.dim(-1))
		if !ok {
			continue
		}
		switch o := x.op.(type) {
		case op.LayerNorm:
			return b.make(o, x.in[0], w), true
		case op.RMSNorm:
			if v, ok := b.oneMore(n.in[1-i]); ok {
				if v, ok := b.vector(v, x.dim(-1)); ok {
					return b.make(op.RMSNorm{Eps: o.Eps, Offset: 1}, x.in[0], v), true
				}
			}
			return b.make(o, x.in[0], w), true
		}
	}
	return nil, false
}

// oneMore is the value that n is 1 more than.
func (b *builder) oneMore(n *node) (*node, bool) {
	for n.is("reshape") {
		n = n.in[0]
	}
	s := sumOf(n)
	t, ok := s.only()
	return t.n, ok && s.constant == 1 && t.coeff == 1
}

// normResidual makes a norm plus the same norm with a weight one norm, whose
// weight has offset 1: one norm and one sum fewer.
func normResidual(b *builder, n *node) (*node, bool) {
	for i, x := range n.in {
		y := n.in[1-i]
		o, ok := x.op.(op.RMSNorm)
		if !ok || o.Offset != 0 || len(x.in) != 2 || y.op != op.Op(o) || len(y.in) != 1 || y.in[0] != x.in[0] || b.wanted(x) || b.wanted(y) {
			continue
		}
		return b.make(op.RMSNorm{Eps: o.Eps, Offset: 1}, x.in...), true
	}
	return nil, false
}
