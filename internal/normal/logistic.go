package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// logistic is scale times the sigmoid of by times z.
type logistic struct {
	z         *node
	by, scale float64
}

// logisticOf is a factor of a product as a logistic function: sigmoid(z),
// 1/(k + k*exp(-z)), k + k*tanh(z/2).
func logisticOf(f factor) (l logistic, ok bool) {
	switch {
	case f.n.is("sigmoid") && f.power == 1:
		z, by := peel(f.n.in[0])
		return logistic{z, by, 1}, true
	case f.power != 1 && f.power != -1:
		return l, false
	}
	s := sumOf(f.n)
	t, ok := s.only()
	if !ok || s.constant == 0 || !near(t.coeff, s.constant) {
		return l, false
	}
	switch {
	case t.n.is("exp") && f.power == -1:
		z, by := peel(t.n.in[0])
		return logistic{z, -by, 1 / s.constant}, true
	case t.n.is("tanh") && f.power == 1:
		z, by := peel(t.n.in[0])
		return logistic{z, 2 * by, 2 * s.constant}, true
	}
	return l, false
}

// gate is a product with a factor that is a logistic function.
type gate struct {
	p   product
	at  int // of the factor
	l   logistic
	exp *node // the exponential in the numerator that belongs to it
}

// gateOf finds the first factor that is a logistic function. An exponential of
// its argument in the numerator belongs to it: exp(z)/(1+exp(z)).
func gateOf(p product) (gate, bool) {
	for i, f := range p.factors {
		l, ok := logisticOf(f)
		if !ok {
			continue
		}
		g := gate{p: p, at: i, l: l}
		for j, e := range p.factors {
			if !e.n.is("exp") || e.power != 1 || f.power != -1 {
				continue
			}
			if z, by := peel(e.n.in[0]); z == l.z && near(by, -l.by) {
				g.p, g.l.by, g.exp = p.without(j), -l.by, e.n
				if j < i {
					g.at--
				}
				break
			}
		}
		return g, true
	}
	return gate{}, false
}

// rest is what is left of the product that computes n when the value x and the
// logistic function are taken out.
func (g gate) rest(n, x *node) (product, bool) {
	f := g.p.factors[g.at]
	values := []*node{x, f.n}
	if g.exp != nil {
		values = append(values, g.exp)
	}
	left := around(n, values...)
	at := left.index(f.n, f.power)
	if at < 0 || !x.spec.Shape.Equal(n.spec.Shape) {
		return product{}, false
	}
	left = left.without(at)
	if g.exp != nil {
		if at = left.index(g.exp, 1); at < 0 {
			return product{}, false
		}
		left = left.without(at)
	}
	left.scale *= g.l.scale
	return left.less(x)
}

// activated makes an activation f of a multiple of x times a product, given that
// x times the logistic function is f(a*x)/a.
func (b *builder) activated(o op.Op, x *node, a float64, rest product) (*node, bool) {
	switch {
	case near(a, 1):
		return b.times(b.make(o, x), rest), true
	case near(rest.scale, a): // the value is the multiple
		rest.scale = 1
		return b.times(b.make(o, b.scale(x, snapped(a))), rest), true
	}
	return nil, false
}

// snapped is a scale that was computed from others, as the number with six
// digits that it is but for rounding.
func snapped(x float64) float32 {
	digits := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(x))))
	if s := math.Round(x*digits) / digits; near(x, s) {
		return float32(s)
	}
	return float32(x)
}

// sigmoid makes a logistic function in primitives the operator: one exponential
// or tanh in primitives fewer.
func sigmoid(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	if n.is("add") { // a half plus half of a tanh, not 1 + tanh, which is twice that
		l, ok := logisticOf(factor{n, 1})
		if !ok || !near(l.scale, 1) || !l.z.spec.Shape.Equal(n.spec.Shape) {
			return nil, false
		}
		return b.make(op.Sigmoid(), b.scale(l.z, rounded(l.by))), true
	}
	g, ok := gateOf(productOf(n))
	if !ok || g.p.factors[g.at].n.is("sigmoid") {
		return nil, false
	}
	f := g.p.factors[g.at]
	rest := around(n, f.n, g.exp)
	rest = rest.without(rest.index(f.n, f.power))
	if g.exp != nil {
		rest = rest.without(rest.index(g.exp, 1))
	}
	rest.scale *= g.l.scale
	if g.p.factors[g.at].power == 1 && !near(rest.scale, 1) {
		return nil, false // 1 + tanh alone: the half may be further out
	}
	s := b.make(op.Sigmoid(), b.scale(g.l.z, rounded(g.l.by)))
	if !s.spec.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	return b.times(s, rest), true
}
