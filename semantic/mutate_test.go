package semantic

import (
	"math/rand/v2"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// mutator rewrites a program without changing the meaning of its tensors.
type mutator struct {
	*progGraph
	rng *rand.Rand
}

// sizesFor draws the sizes that a file allows to vary.
func (f *graphFile) sizesFor(rng *rand.Rand) map[string]int {
	out := map[string]int{}
	var keys []string
	for k := range f.Vary {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		v := f.Vary[k]
		out[k] = v[0] + rng.IntN(v[1]-v[0]+1)
	}
	return out
}

func (m *mutator) mutate() {
	for range 1 + m.rng.IntN(4) {
		for _, f := range []func(){m.swapOperands, m.biasToAdd, m.storeHalf, m.transposeWeight, m.flipProduct, m.maskBeforeScale, m.deadNodes} {
			if m.rng.IntN(2) == 0 {
				f()
			}
		}
	}
	for range m.rng.IntN(1 + len(m.nodes)/4) {
		m.wrapEdge()
	}
	for range m.rng.IntN(4) {
		m.scaleEdge()
	}
}

func (m *mutator) pick(want func(*progNode) bool) *progNode {
	var some []*progNode
	for _, n := range m.nodes {
		if !n.deadend && want(n) {
			some = append(some, n)
		}
	}
	if len(some) == 0 {
		return nil
	}
	return some[m.rng.IntN(len(some))]
}

func (m *mutator) add(n *progNode) *progNode {
	m.nodes = append(m.nodes, n)
	return n
}

// apply adds an operator whose output has the given shape.
func (m *mutator) apply(of *progNode, o op.Op, in ...*progNode) *progNode {
	specs := make([]plan.Spec, len(in))
	for i, x := range in {
		specs[i] = x.spec
	}
	spec, err := o.Infer(specs)
	if err != nil {
		panic(err) // the mutation is not a valid program
	}
	return m.add(&progNode{kind: "op", op: o.Name(), attrs: o.Attrs(), in: in, of: of, spec: spec})
}

// replaceUses makes all readers of old, except one node, read new instead.
func (m *mutator) replaceUses(old, by, but *progNode) {
	for _, n := range m.nodes {
		if n == but || n == by {
			continue
		}
		for i, in := range n.in {
			if in == old {
				n.in[i] = by
			}
		}
	}
	for i, o := range m.outputs {
		if o == old {
			m.outputs[i] = by
		}
	}
	for i := range m.carries {
		if m.carries[i][1] == old {
			m.carries[i][1] = by
		}
	}
}

func (m *mutator) swapOperands() {
	for _, n := range m.nodes {
		if (n.op == "add" || n.op == "mul") && m.rng.IntN(2) == 0 {
			n.in[0], n.in[1] = n.in[1], n.in[0]
		}
	}
}

func (m *mutator) biasToAdd() {
	for _, n := range m.nodes {
		if n.op == "bias" && m.rng.IntN(3) == 0 {
			n.op = "add"
		}
	}
}

func (m *mutator) storeHalf() {
	for _, n := range m.nodes {
		if n.kind == "weight" && n.dtype == plan.F32 && m.rng.IntN(3) == 0 {
			n.dtype = plan.BF16
		}
	}
}

// transposeWeight stores a weight transposed.
func (m *mutator) transposeWeight() {
	w := m.pick(func(n *progNode) bool {
		if n.kind != "weight" || len(n.shape) != 2 {
			return false
		}
		for _, r := range m.nodes {
			if slices.Contains(r.in, n) && (r.op != "matmul" || r.in[0] == r.in[1]) {
				return false
			}
		}
		return true
	})
	if w == nil {
		return
	}
	w.shape = plan.Shape{w.shape[1], w.shape[0]}
	w.spec.Shape = w.shape
	for _, r := range m.nodes {
		for i, in := range r.in {
			if in == w {
				o := product2(r)
				if i == 0 {
					o.TransA = !o.TransA
				} else {
					o.TransB = !o.TransB
				}
				r.attrs = o.Attrs()
			}
		}
	}
}

func product2(n *progNode) op.MatMul {
	o, err := op.New(n.op, n.attrs)
	if err != nil {
		panic(err)
	}
	return o.(op.MatMul)
}

// flipProduct computes a product as the transpose of the flipped one.
func (m *mutator) flipProduct() {
	n := m.pick(func(n *progNode) bool { return n.op == "matmul" })
	if n == nil {
		return
	}
	o := product2(n)
	n.attrs = op.MatMul{TransA: !o.TransB, TransB: !o.TransA}.Attrs()
	n.in[0], n.in[1] = n.in[1], n.in[0]
	n.spec.Shape = slices.Clone(n.spec.Shape)
	r := len(n.spec.Shape)
	n.spec.Shape[r-1], n.spec.Shape[r-2] = n.spec.Shape[r-2], n.spec.Shape[r-1]
	t := m.apply(n, op.Transpose{Perm: swapLast(r)}, n)
	m.replaceUses(n, t, t)
}

func swapLast(rank int) []int {
	perm := make([]int, rank)
	for i := range perm {
		perm[i] = i
	}
	perm[rank-1], perm[rank-2] = rank-2, rank-1
	return perm
}

// maskBeforeScale exchanges a scaling and the causal mask after it.
func (m *mutator) maskBeforeScale() {
	mask := m.pick(func(n *progNode) bool {
		return n.op == "causal_mask" && n.in[0].op == "mul" && n.in[0].in[1].kind == "const"
	})
	if mask == nil {
		return
	}
	scale := mask.in[0]
	for _, n := range m.nodes {
		if n != mask && slices.Contains(n.in, scale) {
			return
		}
	}
	mask.in[0] = scale.in[0]
	m.replaceUses(mask, scale, scale)
	scale.in[0] = mask
}

// deadNodes adds nodes that nothing reads.
func (m *mutator) deadNodes() {
	x := m.pick(func(n *progNode) bool { return n.spec.DType == plan.F32 && len(n.spec.Shape) >= 2 })
	if x == nil {
		return
	}
	from := len(m.nodes)
	switch m.rng.IntN(4) {
	case 0:
		m.apply(nil, op.ReLU{}, x)
	case 1:
		s := m.apply(nil, op.MatMul{TransB: true}, x, x)
		m.apply(nil, op.MatMul{}, m.apply(nil, op.Softmax{Axis: -1}, s), x)
	case 2:
		m.apply(nil, op.Concat{Axis: 0}, x, x)
	case 3:
		m.apply(nil, op.ArgMax{Axis: -1}, x)
	}
	for _, n := range m.nodes[from:] {
		n.deadend = true
	}
}

// wrapEdge inserts an operation without effect on a random edge.
func (m *mutator) wrapEdge() {
	if m.rng.IntN(8) == 0 && len(m.outputs) > 0 {
		i := m.rng.IntN(len(m.outputs))
		m.outputs[i] = m.wrap(m.outputs[i])
		return
	}
	if m.rng.IntN(4) == 0 && len(m.carries) > 0 {
		i := m.rng.IntN(len(m.carries))
		m.carries[i][1] = m.wrap(m.carries[i][1])
		return
	}
	if n := m.pick(func(n *progNode) bool { return len(n.in) > 0 }); n != nil {
		i := m.rng.IntN(len(n.in))
		n.in[i] = m.wrap(n.in[i])
	}
}

// wrap returns x in another form.
func (m *mutator) wrap(x *progNode) *progNode {
	s := x.spec.Shape
	choice := m.rng.IntN(9)
	switch {
	case choice == 0:
		return m.apply(x, op.Contiguous{}, x)
	case choice == 1:
		return m.apply(x, op.Cast{To: x.spec.DType}, x)
	case choice == 2 && len(s) > 0:
		axis := m.rng.IntN(len(s))
		return m.apply(x, op.Slice{Axis: axis, Start: plan.C(0), Stop: s[axis]}, x)
	case choice == 3 && len(s) > 0:
		return m.apply(x, op.Concat{Axis: m.rng.IntN(len(s))}, x)
	case choice == 4 && len(s) > 1:
		perm, back := m.rng.Perm(len(s)), make([]int, len(s))
		for i, p := range perm {
			back[p] = i
		}
		return m.apply(x, op.Transpose{Perm: back}, m.apply(x, op.Transpose{Perm: perm}, x))
	case choice == 5 && x.spec.DType == plan.F32 && len(s) > 0:
		one := m.add(scalar(1))
		return m.apply(x, op.Mul(), one, x)
	case choice == 6 && x.spec.DType == plan.F32 && len(s) > 0:
		zero := m.add(scalar(0))
		return m.apply(x, op.Sub(), x, zero)
	case choice >= 7 && len(s) > 1:
		return m.apply(x, op.Reshape{Shape: s}, m.apply(x, op.Reshape{Shape: m.flattened(s)}, x))
	}
	return m.apply(x, op.Identity{}, x)
}

// flattened is a shape with as many elements: with some axes merged, or one of
// size one added.
func (m *mutator) flattened(s plan.Shape) plan.Shape {
	if m.rng.IntN(3) == 0 {
		return slices.Insert(slices.Clone(s), m.rng.IntN(len(s)+1), plan.C(1))
	}
	lo := m.rng.IntN(len(s) - 1)
	hi := lo + 2 + m.rng.IntN(len(s)-lo-1)
	out := append(slices.Clone(s[:lo]), s[lo:hi].Elements())
	return append(out, s[hi:]...)
}

// scaleEdge scales an operand of a product or the scores before a softmax.
func (m *mutator) scaleEdge() {
	n := m.pick(func(n *progNode) bool { return n.op == "matmul" || n.op == "softmax" })
	if n == nil {
		return
	}
	i := m.rng.IntN(len(n.in))
	half := m.add(scalar(0.5))
	n.in[i] = m.apply(n.in[i], op.Mul(), n.in[i], half)
}
