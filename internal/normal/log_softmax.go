package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// logOfSoftmax makes the logarithm of a softmax log-softmax: one operator fewer.
func logOfSoftmax(b *builder, n *node) (*node, bool) {
	o, ok := n.in[0].op.(op.Softmax)
	if !ok || b.wanted(n.in[0]) {
		return nil, false
	}
	return b.make(op.LogSoftmax(o), n.in[0].in[0]), true
}

// expOfLogSoftmax makes the exponential of a log-softmax softmax: one operator
// fewer.
func expOfLogSoftmax(b *builder, n *node) (*node, bool) {
	o, ok := n.in[0].op.(op.LogSoftmax)
	if !ok || b.wanted(n.in[0]) {
		return nil, false
	}
	return b.make(op.Softmax(o), n.in[0].in[0]), true
}

// minusLogSum makes u - log(sum(exp(u))) log-softmax, whatever terms u has: one
// exponential, one reduction and one logarithm fewer.
func minusLogSum(b *builder, n *node) (*node, bool) {
	s := sumOf(n)
	for i, t := range s.terms {
		if !near(t.coeff, -1) || !t.n.is("log") {
			continue
		}
		r, ok := reductionOf(t.n.in[0])
		if !ok || r.kind != "sum" || !r.x.is("exp") {
			continue
		}
		u := r.x.in[0]
		x := unshifted(u, r.axis)
		whole := sumOf(n, x)
		at := slices.Index(whole.terms, s.terms[i])
		if !u.spec.Shape.Equal(n.spec.Shape) || at < 0 || !sumOf(u, x).equal(whole.without(at)) {
			continue
		}
		return b.make(op.LogSoftmax{Axis: r.axis}, x), true
	}
	return nil, false
}
