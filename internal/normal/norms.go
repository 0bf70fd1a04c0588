package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// divided is a product with a factor that is one over the root of a spread.
type divided struct {
	p  product
	at int // of the factor
	sp spread
}

// dividedBySpread finds such a factor. why is that of one that nearly is.
func dividedBySpread(p product) (d divided, why string, ok bool) {
	for i, f := range p.factors {
		if f.power != -0.5 {
			continue
		}
		sp, reason := spreadOf(f.n)
		if sp.v != nil || sp.x != nil && reason == "" {
			return divided{p, i, sp}, "", true
		}
		if reason != "" {
			why = reason
		}
	}
	return d, why, false
}

// normalised makes a layer norm or RMS norm, without parameters, of a product
// that divides a value by the root of its variance or of its mean square: one
// product, one reduction and one root fewer. What else the product has is
// multiplied after it.
func normalised(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	p := productOf(n)
	if len(p.factors) < 2 {
		return nil, false // a root alone
	}
	d, why, ok := dividedBySpread(p)
	if !ok {
		if why != "" {
			return b.refuse("normalisation", "%s", why)
		}
		return nil, false
	}
	if x, rest, ok := d.centredValue(n); ok {
		if !x.spec.Shape.Equal(n.spec.Shape) {
			return nil, false
		}
		return b.times(b.make(op.LayerNorm{Eps: d.sp.eps}, x), rest), true
	}
	if d.sp.v == nil {
		return nil, false
	}
	root := d.p.factors[d.at].n
	whole := around(n, d.sp.v, root)
	at := whole.index(root, -0.5)
	if at < 0 {
		return nil, false
	}
	rest, ok := whole.without(at).less(d.sp.v)
	if !ok || !d.sp.v.spec.Shape.Equal(n.spec.Shape) {
		if n.rank() == 0 || n.dim(-1).Is(1) {
			return nil, false
		}
		return b.refuse("rms_norm", "the value is not the one whose mean square is taken")
	}
	return b.times(b.make(op.RMSNorm{Eps: d.sp.eps}, d.sp.v), rest), true
}

// rmsNormOfCentred makes the RMS norm of a value minus its mean a layer norm: one
// reduction and one difference fewer.
func rmsNormOfCentred(b *builder, n *node) (*node, bool) {
	o := n.op.(op.RMSNorm)
	x, sign, ok := centred(n.in[0])
	if !ok || o.Offset != 0 || !x.spec.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	in := append([]*node{x}, n.in[1:]...)
	return b.scale(b.make(op.LayerNorm{Eps: o.Eps}, in...), rounded(sign)), true
}

// centredValue finds the factor that is x minus its mean, x being the value whose
// variance d divides by.
func (d divided) centredValue(n *node) (x *node, rest product, ok bool) {
	if d.sp.x == nil {
		return nil, rest, false
	}
	for i, f := range d.p.factors {
		if f.power != 1 || i == d.at {
			continue
		}
		of, sign, ok := centred(f.n)
		if !ok || of != d.sp.x {
			continue
		}
		root := d.p.factors[d.at].n
		whole := around(n, f.n, root)
		if i, j := whole.index(f.n, 1), whole.index(root, -0.5); i >= 0 && j >= 0 {
			rest = whole.without(i, j)
			rest.scale *= sign
			return of, rest, true
		}
	}
	return nil, rest, false
}

// vector is n as a vector of the given length: [n], or with leading axes of size
// one.
func (b *builder) vector(n *node, length plan.Dim) (*node, bool) {
	if n.rank() == 0 || n.spec.DType != plan.F32 || !n.dim(-1).Equal(length) {
		return nil, false
	}
	for _, d := range n.spec.Shape[:n.rank()-1] {
		if !d.Is(1) {
			return nil, false
		}
	}
	return b.reshape(n, length), true
}
