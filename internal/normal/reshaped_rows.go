package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// reshapedRows leaves a reshape before an operator on rows out where another one
// follows and rows stay rows: one reshape fewer.
func reshapedRows(b *builder, n *node) (*node, bool) {
	r := n.in[0]
	switch o := r.op.(type) {
	case op.LayerNorm, op.RMSNorm:
	case op.Softmax:
		if o.Axis != -1 {
			return nil, false
		}
	case op.LogSoftmax:
		if o.Axis != -1 {
			return nil, false
		}
	default:
		return nil, false
	}
	x := r.in[0]
	if !x.is("reshape") || b.wanted(r) || n.rank() == 0 || !n.dim(-1).Equal(x.dim(-1)) || !x.in[0].dim(-1).Equal(x.dim(-1)) {
		return nil, false
	}
	in := slices.Clone(r.in)
	in[0] = b.reshape(x.in[0], n.spec.Shape...)
	return b.make(r.op, in...), true
}
