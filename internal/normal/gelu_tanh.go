package normal

import (
	"math"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// The polynomial in the tanh of GPT's GELU is rootTwoOverPi * (x + cubicFactor *
// x^3).
const cubicFactor = 0.044715

var rootTwoOverPi = math.Sqrt(2 / math.Pi)

// geluTanh makes x times the sigmoid of twice that polynomial, which is half of 1
// + tanh of it, the GELU by tanh: one tanh or exponential fewer.
func geluTanh(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	g, ok := gateOf(productOf(n))
	if !ok || !(g.l.z.is("add") || g.l.z.is("mul") || g.l.z.is("sub")) {
		return nil, false
	}
	for _, x := range variables(nil, g.l.z, maxDepth) {
		if x == g.l.z {
			continue
		}
		c, ok := polynomial(g.l.z, x, maxDepth)
		if !ok || c[0] != 0 || c[2] != 0 || c[1] == 0 || c[3] == 0 {
			continue
		}
		rest, ok := g.rest(n, x)
		if !ok {
			continue
		}
		first, third := g.l.by*c[1]/(2*rootTwoOverPi), g.l.by*c[3]/(2*rootTwoOverPi*cubicFactor)
		if !near(third, first*first*first) {
			return b.refuse("gelu", "the polynomial in the tanh is %.6g*(x + %.6g*x^3), not %.6g*(x + %g*x^3)",
				g.l.by*c[1]/2, c[3]/c[1], rootTwoOverPi, cubicFactor)
		}
		return b.activated(op.GELU{Tanh: true}, x, first, rest)
	}
	return nil, false
}
