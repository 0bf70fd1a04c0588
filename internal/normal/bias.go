package normal

import "github.com/genie-sdk/go/internal/op"

// sumWithVector makes bias of the sum of a product and a vector along its last
// axis: one form of two.
func sumWithVector(b *builder, n *node) (*node, bool) {
	for i, y := range n.in {
		v := n.in[1-i]
		if y.is("matmul") && v.rank() == 1 && !v.is("matmul") && v.dim(0).Equal(y.dim(-1)) && sameSpec(y.spec, n.spec) {
			return b.make(op.Bias{}, y, v), true
		}
	}
	return nil, false
}

// biasOfPointwise makes a sum of the bias of what is no product: the other form
// of two, where bias is not the second half of a layer.
func biasOfPointwise(b *builder, n *node) (*node, bool) {
	if o := n.in[0].op; o == nil || !o.Traits().Pointwise {
		return nil, false
	}
	return b.make(op.Add(), n.in...), true
}
