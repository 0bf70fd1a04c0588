package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// gelu makes x*(1 + erf(x/sqrt 2)), times a half or anything else, GELU: one
// error function fewer.
func gelu(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	p := productOf(n)
	for _, f := range p.factors {
		if f.power != 1 {
			continue
		}
		s := sumOf(f.n)
		t, ok := s.only()
		if !ok || !t.n.is("erf") || s.constant == 0 || !near(t.coeff, s.constant) {
			continue
		}
		x, by := peel(t.n.in[0])
		whole := around(n, x, f.n)
		at := whole.index(f.n, 1)
		if at < 0 || !x.spec.Shape.Equal(n.spec.Shape) {
			continue
		}
		rest, ok := whole.without(at).less(x)
		if !ok {
			continue
		}
		rest.scale *= 2 * s.constant
		if r, ok := b.activated(op.GELU{}, x, by*math.Sqrt2, rest); ok {
			return r, true
		}
		return b.refuse("gelu", "the error function is of %.6g times the value, not %.6g", by, 1/math.Sqrt2)
	}
	return nil, false
}

// geluSum is [gelu] of a product that is distributed over the sum: c*x +
// c*x*erf(x/sqrt 2).
func geluSum(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	for _, t := range sumOf(n).terms {
		for _, f := range productOf(t.n).factors {
			if !f.n.is("erf") || f.power != 1 {
				continue
			}
			x, by := peel(f.n.in[0])
			s := sumOf(n, x)
			if len(s.terms) != 2 || s.constant != 0 || s.terms[0].n != t.n && s.terms[1].n != t.n {
				continue
			}
			t, other := s.terms[0], s.terms[1]
			if other.n != x {
				t, other = other, t
			}
			rest, ok := around(t.n, x, f.n).less(x)
			at := rest.index(f.n, 1)
			if !ok || at < 0 || len(rest.factors) != 1 || !x.spec.Shape.Equal(n.spec.Shape) {
				continue
			}
			if other.n != x || !near(other.coeff, t.coeff*rest.scale) {
				continue
			}
			return b.activated(op.GELU{}, x, by*math.Sqrt2, product{scale: 2 * other.coeff})
		}
	}
	return nil, false
}
