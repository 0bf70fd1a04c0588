package normal

// reshapeOfReshape leaves a reshape out that changes nothing, and that of a
// reshape: one node fewer.
func reshapeOfReshape(b *builder, n *node) (*node, bool) {
	x := n.in[0]
	for x.is("reshape") {
		x = x.in[0]
	}
	if x.spec.Shape.Equal(n.spec.Shape) {
		return x, true
	}
	if x == n.in[0] {
		return nil, false
	}
	return b.make(n.op, x), true
}
