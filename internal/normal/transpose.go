package normal

import "github.com/genie-sdk/go/internal/op"

// transposeOfTranspose leaves a transpose out that changes nothing, and makes
// one of two: one node fewer.
func transposeOfTranspose(b *builder, n *node) (*node, bool) {
	perm := n.op.(op.Transpose).Perm
	x := n.in[0]
	if inner, ok := x.op.(op.Transpose); ok {
		both := make([]int, len(perm))
		for i, p := range perm {
			both[i] = inner.Perm[p]
		}
		return b.transpose(x.in[0], both...), true
	}
	for i, p := range perm {
		if p != i {
			return nil, false
		}
	}
	return x, true
}
