package normal

import "github.com/genie-sdk/go/internal/op"

// transposedOperand makes a flag of a product from the transpose of an operand's
// last two axes: one node fewer between a product and its operand. A transpose
// that moves another axis too stays.
func transposedOperand(b *builder, n *node) (*node, bool) {
	o := n.op.(op.MatMul)
	x, y := n.in[0], n.in[1]
	if a, ok := lastTwoSwapped(x); ok {
		x, o.TransA = a, !o.TransA
	}
	if a, ok := lastTwoSwapped(y); ok {
		y, o.TransB = a, !o.TransB
	}
	if x == n.in[0] && y == n.in[1] {
		return nil, false
	}
	return b.make(o, x, y), true
}

// lastTwoSwapped reports whether n is a transpose of its input's last two axes
// and of no other.
func lastTwoSwapped(n *node) (*node, bool) {
	t, ok := n.op.(op.Transpose)
	if !ok {
		return nil, false
	}
	rank := len(t.Perm)
	for i, p := range t.Perm {
		want := i
		if i >= rank-2 {
			want = 2*rank - 3 - i
		}
		if p != want {
			return nil, false
		}
	}
	return n.in[0], true
}
