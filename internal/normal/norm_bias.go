package normal

import "github.com/genie-sdk/go/internal/op"

// normBias makes a sum of a layer norm and a vector [n] the layer norm with that
// shift: one sum fewer. A layer norm without a scale gets one of ones.
func normBias(b *builder, n *node) (*node, bool) {
	for i, x := range n.in {
		o, ok := x.op.(op.LayerNorm)
		if !ok || len(x.in) == 3 || !x.spec.Shape.Equal(n.spec.Shape) || b.wanted(x) {
			continue
		}
		beta, ok := b.vector(n.in[1-i], x.dim(-1))
		if !ok {
			continue
		}
		if len(x.in) == 2 {
			return b.make(o, x.in[0], x.in[1], beta), true
		}
		size, ok := x.dim(-1).Const()
		if !ok || size > maxOnes {
			continue
		}
		ones := make([]float32, size)
		for i := range ones {
			ones[i] = 1
		}
		return b.make(o, x.in[0], b.constF32(ones, size), beta), true
	}
	return nil, false
}

// maxOnes bounds the constant scale of a layer norm that has none.
const maxOnes = 1 << 14

// normParameters leaves the scale of ones and the shift of zeros of a norm out:
// one input fewer.
func normParameters(b *builder, n *node) (*node, bool) {
	in := n.in
	if len(in) == 3 {
		if v, ok := in[2].scalar(); ok && v == 0 {
			in = in[:2]
		}
	}
	if len(in) == 2 {
		o, isRMS := n.op.(op.RMSNorm)
		if v, ok := in[1].scalar(); ok && v == 1 && (!isRMS || o.Offset == 0) {
			in = in[:1]
		}
	}
	if len(in) == len(n.in) {
		return nil, false
	}
	return b.make(n.op, in...), true
}
