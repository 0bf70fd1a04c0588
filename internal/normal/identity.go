package normal

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// identity leaves an identity out: one node fewer.
func identity(_ *builder, n *node) (*node, bool) { return n.in[0], true }

// castToSame leaves a cast to its input's type out: one node fewer.
func castToSame(_ *builder, n *node) (*node, bool) {
	return n.in[0], n.op.(op.Cast).To == n.in[0].spec.DType
}

// castOfCast leaves a cast out that loses nothing, before another: one node
// fewer.
func castOfCast(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	if !x.is("cast") {
		return nil, false
	}
	from, between := x.in[0].spec.DType, x.spec.DType
	if from != plan.Bool && (from != plan.I32 || between != plan.I64) {
		return nil, false
	}
	return b.make(n.op, x.in[0]), true
}
