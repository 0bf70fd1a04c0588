package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// foldedNorm makes a layer norm of a sum that has x*r and -mean(x)*r, r being
// one over the root of x's variance, possibly times a scale: x*inv + (beta -
// mean*inv). Two products and one root fewer; what else the sum has is added
// after it.
func foldedNorm(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	s := sumOf(n)
	if len(s.terms) < 2 {
		return nil, false
	}
	for i, t := range s.terms {
		p := productOf(t.n)
		d, _, ok := dividedBySpread(p)
		if !ok || d.sp.x == nil {
			continue
		}
		whole := productOf(t.n, d.sp.x)
		at := whole.index(p.factors[d.at].n, -0.5)
		if at < 0 {
			continue
		}
		value, ok := whole.less(d.sp.x)
		if !ok || !d.sp.x.spec.Shape.Equal(n.spec.Shape) {
			continue
		}
		if j := s.meanTerm(i, value, d.sp.x); j >= 0 {
			rest := value.without(value.index(p.factors[d.at].n, -0.5))
			rest.scale *= t.coeff
			return b.plus(b.times(b.make(op.LayerNorm{Eps: d.sp.eps}, d.sp.x), rest), s.without(i, j)), true
		}
	}
	return nil, false
}

// meanTerm finds the term that is minus the mean of x, times the same factors as
// term i: -1 for none.
func (s sum) meanTerm(i int, value product, x *node) int {
	for j, t := range s.terms {
		if j == i {
			continue
		}
		q := productOf(t.n)
		for k, f := range q.factors {
			of, scale, _ := meanOf(f.n)
			if f.power != 1 || of != x || of == nil {
				continue
			}
			if q.without(k).same(value) && near(t.coeff*q.scale*scale, -s.terms[i].coeff*value.scale) {
				return j
			}
		}
	}
	return -1
}
