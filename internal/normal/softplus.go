package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// softplusThreshold is from where on softplus(x) is x in float32.
const softplusThreshold = 18

// softplus makes log(1 + exp(x)) and log1p(exp(x)) softplus: one exponential
// fewer.
func softplus(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	if n.is("log") {
		s := sumOf(x)
		t, ok := s.only()
		if !ok || s.constant != 1 || t.coeff != 1 {
			return nil, false
		}
		x = t.n
	}
	if !x.is("exp") || !x.spec.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	return b.make(op.Softplus(), x.in[0]), true
}

// softplusOfNegative makes max(x, 0) + softplus(-|x|) softplus: one softplus,
// which is shorter, in place of a maximum, a magnitude and a softplus.
func softplusOfNegative(b *builder, n *node) (*node, bool) {
	for i, m := range n.in {
		x, ok := notNegative(m)
		if !ok || !n.in[1-i].is("softplus") {
			continue
		}
		if z, by := peel(n.in[1-i].in[0]); by == -1 && z.is("abs") && z.in[0] == x && x.spec.Shape.Equal(n.spec.Shape) {
			return b.make(op.Softplus(), x), true
		}
	}
	return nil, false
}

// softplusOfSigmoid makes -log(sigmoid(x)) the softplus of -x: one logarithm
// fewer.
func softplusOfSigmoid(b *builder, n *node) (*node, bool) {
	l, scale := peel(n)
	if l == n || scale != -1 || !l.is("log") || !l.in[0].is("sigmoid") || !l.spec.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	x, by := peel(l.in[0].in[0])
	return b.make(op.Softplus(), b.scale(x, rounded(-by))), true
}

// thresholdSoftplus leaves a threshold out above which softplus(x) is x: one
// choice fewer. That is so in float32, from softplusThreshold on.
func thresholdSoftplus(b *builder, n *node) (*node, bool) {
	cond, x, s := n.in[0], n.in[1], n.in[2]
	if cond.is("less") || cond.is("less_equal") {
		x, s = s, x
	}
	if n.spec.DType != plan.F32 || !s.is("softplus") || s.in[0] != x || len(cond.in) != 2 {
		return nil, false
	}
	var of, bound *node
	switch {
	case cond.is("greater"), cond.is("greater_equal"), cond.is("less"), cond.is("less_equal"):
		of, bound = cond.in[0], cond.in[1]
	default:
		return nil, false
	}
	if v, ok := bound.scalar(); !ok || of != x || v < softplusThreshold || !s.spec.Shape.Equal(n.spec.Shape) {
		return nil, false
	}
	return s, true
}
