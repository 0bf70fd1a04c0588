package normal

import "github.com/genie-sdk/go/internal/op"

// identity leaves an identity out: one node fewer.
func identity(_ *builder, n *node) (*node, bool) { return n.in[0], true }

// castToSame leaves a cast to its input's type out: one node fewer.
func castToSame(_ *builder, n *node) (*node, bool) {
	return n.in[0], n.op.(op.Cast).To == n.in[0].spec.DType
}
