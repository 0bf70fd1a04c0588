package normal

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// transposedOperand makes a flag of a product from the transpose of an operand's
// last two axes. Where the transpose moves other axes too, it stays, with the
// last two in the order of its input's: fewer transposes, or fewer last axes out
// of order.
func transposedOperand(b *builder, n *node) (*node, bool) {
	o := n.op.(op.MatMul)
	x, y := n.in[0], n.in[1]
	// Rows of several matrices that one matrix multiplies are those of one product.
	if a, ok := b.lastTwoInOrder(x); ok && (len(x.spec.Shape) == 2 || len(y.spec.Shape) > 2) {
		x, o.TransA = a, !o.TransA
	}
	if a, ok := b.lastTwoInOrder(y); ok {
		y, o.TransB = a, !o.TransB
	}
	if x == n.in[0] && y == n.in[1] {
		return nil, false
	}
	return b.make(o, x, y), true
}

// lastTwoInOrder is a transpose with its last two axes swapped, if these were
// out of order.
func (b *builder) lastTwoInOrder(n *node) (*node, bool) {
	t, ok := n.op.(op.Transpose)
	if !ok {
		return nil, false
	}
	last := len(t.Perm) - 1
	if t.Perm[last-1] < t.Perm[last] {
		return nil, false
	}
	perm := slices.Clone(t.Perm)
	perm[last-1], perm[last] = perm[last], perm[last-1]
	return b.transpose(n.in[0], perm...), true
}
