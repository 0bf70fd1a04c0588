package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// quickGELUFactor is what x is multiplied by in the sigmoid of a quick GELU.
const quickGELUFactor = 1.702

// silu makes a value times the sigmoid of itself SiLU, and of 1.702 times itself
// quick GELU: one sigmoid fewer.
func silu(b *builder, n *node) (*node, bool) {
	if n.spec.DType != plan.F32 {
		return nil, false
	}
	g, ok := gateOf(productOf(n))
	if !ok {
		return nil, false
	}
	rest, ok := g.rest(n, g.l.z)
	if !ok {
		return nil, false
	}
	if r, ok := b.activated(op.SiLU{}, g.l.z, g.l.by, rest); ok {
		return r, true
	}
	if r, ok := b.activated(op.QuickGELU{}, g.l.z, g.l.by/quickGELUFactor, rest); ok {
		return r, true
	}
	return b.refuse("silu", "the sigmoid is of %.6g times the value, neither 1 nor %g", g.l.by, quickGELUFactor)
}
