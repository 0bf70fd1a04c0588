package gorgonia

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// stockBuilder makes the nodes of one stock program.
type stockBuilder struct {
	g      *gorgonia.ExprGraph
	graph  *lazy.Graph
	sizes  plan.Bindings
	salt   int
	uses   map[*lazy.Tensor]int // readers that are part of the program
	nodes  map[*lazy.Tensor]*gorgonia.Node
	leaves []*stockLeaf
	byName map[string]*stockLeaf
	// shared are the nodes whose memory may be read later by something else, so
	// an operator must not overwrite it.
	shared map[*gorgonia.Node]bool
	cuts   map[cut]int // where each slice made so far starts
}

func newStockBuilder(g *lazy.Graph, sizes plan.Bindings, outputs []*lazy.Tensor, salt int) *stockBuilder {
	b := &stockBuilder{
		g: gorgonia.NewGraph(gorgonia.WithGraphName(g.Name())), graph: g, sizes: sizes, salt: salt,
		uses: map[*lazy.Tensor]int{}, nodes: map[*lazy.Tensor]*gorgonia.Node{},
		byName: map[string]*stockLeaf{}, shared: map[*gorgonia.Node]bool{}, cuts: map[cut]int{},
	}
	for _, t := range outputs {
		b.uses[t] += 2 // an output is read after the run as well
	}
	for _, t := range slices.Backward(g.Tensors()) {
		if b.uses[t] > 0 {
			for _, x := range t.In() {
				b.uses[x]++
			}
		}
	}
	return b
}

// shape is the concrete shape of a captured tensor.
func (b *stockBuilder) shape(t *lazy.Tensor) (tensor.Shape, error) {
	s, err := t.Shape().Eval(b.sizes)
	return tensor.Shape(s), err
}

// node is t at the given shape, which has the same number of elements; owned
// says that its memory may be overwritten.
func (b *stockBuilder) node(t *lazy.Tensor, shape ...int) (*gorgonia.Node, error) {
	if t.DType() != plan.F32 {
		return nil, noStock(t, "a value of %v", t.DType())
	}
	if lazygraph.Op(t) == nil {
		return b.leaf(t, shape)
	}
	n := b.nodes[t]
	if b.uses[t] > 1 {
		b.shared[n] = true
	}
	return b.reshape(n, shape...)
}

func noStock(t *lazy.Tensor, format string, args ...any) error {
	name := t.Name()
	if o := t.Op(); o != nil {
		name = o.Name()
	}
	return fmt.Errorf("%w: operator %q: %s", ErrNoStock, name, fmt.Sprintf(format, args...))
}

// leaf is the input node of a captured leaf at a shape.
func (b *stockBuilder) leaf(t *lazy.Tensor, shape tensor.Shape) (*gorgonia.Node, error) {
	l, isNew := b.input(t, fmt.Sprintf("%s%v", leafName(t, b.salt), []int(shape)), tensor.Float32, shape)
	if isNew {
		var err error
		switch t.Kind() {
		case lazy.KindWeight:
			l.data, err = weightF32s(b.graph, weightHash(t))
		case lazy.KindConst:
			l.data = float32s(t.ConstData())
		case lazy.KindOp, lazy.KindInput:
		}
		if err != nil {
			return nil, err
		}
	}
	return l.node, nil
}

// constant is an input node with a value of the lowering.
func (b *stockBuilder) constant(name string, shape tensor.Shape, fill func([]float32)) *gorgonia.Node {
	l, isNew := b.input(nil, fmt.Sprintf("%d:%s%v", b.salt, name, []int(shape)), tensor.Float32, shape)
	if isNew {
		v := make([]float32, shape.TotalSize())
		fill(v)
		l.data = v
	}
	return l.node
}

func (b *stockBuilder) input(t *lazy.Tensor, name string, dt tensor.Dtype, shape tensor.Shape) (*stockLeaf, bool) {
	if l, ok := b.byName[name]; ok {
		return l, false
	}
	n := gorgonia.NewTensor(b.g, dt, len(shape), gorgonia.WithName(name), gorgonia.WithShape(shape...))
	l := &stockLeaf{node: n, of: t, shape: shape.Clone()}
	b.byName[name] = l
	b.leaves = append(b.leaves, l)
	b.shared[n] = true
	return l, true
}

// made checks that a new node has the given children: a node that Gorgonia
// reused because of an equal hash does not.
func (b *stockBuilder) made(n *gorgonia.Node, err error, from ...*gorgonia.Node) (*gorgonia.Node, error) {
	if err != nil {
		return nil, err
	}
	for _, c := range from {
		if !b.reaches(n, c, 5) {
			return nil, errHashes
		}
	}
	return n, nil
}

func (b *stockBuilder) reaches(n, c *gorgonia.Node, depth int) bool {
	if n == c {
		return true
	}
	if depth == 0 {
		return false
	}
	for it := b.g.From(n.ID()); it.Next(); {
		if child, ok := it.Node().(*gorgonia.Node); ok && b.reaches(child, c, depth-1) {
			return true
		}
	}
	return false
}

// reshape shares its operand's memory: if that must not be overwritten, neither
// must this.
func (b *stockBuilder) reshape(n *gorgonia.Node, shape ...int) (*gorgonia.Node, error) {
	if n.Shape().Eq(tensor.Shape(shape)) && len(n.Shape()) == len(shape) {
		return n, nil
	}
	r, err := gorgonia.Reshape(n, slices.Clone(shape))
	if r, err = b.made(r, err, n); err != nil {
		return nil, err
	}
	if b.shared[n] {
		b.shared[r] = true
	}
	return r, nil
}

// cut is the part of a slice that Gorgonia's hash distinguishes.
type cut struct {
	of          *gorgonia.Node
	axis, long  int
	start, stop byte
}

// slice takes start to stop of the second axis of a matrix or the first one. If
// another slice has the same hash, a part is cut off in a step before it, so
// that the operands differ.
func (b *stockBuilder) slice(n *gorgonia.Node, axis, start, stop int) (*gorgonia.Node, error) {
	if b.cutFree(n, axis, start, stop) {
		return b.sliceOnce(n, axis, start, stop)
	}
	size := n.Shape()[axis]
	if stop < size && b.cutFree(n, axis, 0, stop) {
		head, err := b.sliceOnce(n, axis, 0, stop)
		if err != nil {
			return nil, err
		}
		if b.cutFree(head, axis, start, stop) {
			return b.sliceOnce(head, axis, start, stop)
		}
	}
	for c := 1; c <= start; c++ {
		if !b.cutFree(n, axis, c, size) {
			continue
		}
		tail, err := b.sliceOnce(n, axis, c, size)
		if err != nil {
			return nil, err
		}
		if b.cutFree(tail, axis, start-c, stop-c) {
			return b.sliceOnce(tail, axis, start-c, stop-c)
		}
	}
	return nil, errHashes
}

func (b *stockBuilder) cutFree(n *gorgonia.Node, axis, start, stop int) bool {
	at, taken := b.cuts[cut{n, axis, stop - start, byte(start), byte(stop)}]
	return !taken || at == start
}

func (b *stockBuilder) sliceOnce(n *gorgonia.Node, axis, start, stop int) (*gorgonia.Node, error) {
	b.cuts[cut{n, axis, stop - start, byte(start), byte(stop)}] = start
	shape := n.Shape().Clone()
	s := make([]tensor.Slice, axis+1)
	s[axis] = gorgonia.S(start, stop)
	r, err := gorgonia.Slice(n, s...)
	if r, err = b.made(r, err, n); err != nil {
		return nil, err
	}
	shape[axis] = stop - start
	return b.reshape(r, shape...) // a slice of length one has lost its axis
}

// own is n or, when n is shared, a copy of it.
func (b *stockBuilder) own(n *gorgonia.Node) (*gorgonia.Node, error) {
	if !b.shared[n] {
		return n, nil
	}
	shape := n.Shape().Clone()
	s, err := gorgonia.Slice(n, gorgonia.S(0, shape[0]))
	if s, err = b.made(s, err, n); err != nil {
		return nil, err
	}
	return b.reshape(s, shape...)
}

func (b *stockBuilder) unary(f func(*gorgonia.Node) (*gorgonia.Node, error), n *gorgonia.Node) (*gorgonia.Node, error) {
	n, err := b.own(n)
	if err != nil {
		return nil, err
	}
	r, err := f(n)
	return b.made(r, err, n)
}

// binary applies an elementwise operator to x and y of one shape, without
// overwriting what is shared.
func (b *stockBuilder) binary(name string, x, y *gorgonia.Node) (*gorgonia.Node, error) {
	if b.shared[x] && (name == "add" || name == "mul") && !b.shared[y] && !y.IsScalar() {
		x, y = y, x
	}
	if b.shared[x] && name == "sub" && !b.shared[y] && !y.IsScalar() { // x - y = -y + x
		minus, err := b.unary(gorgonia.Neg, y)
		if err != nil {
			return nil, err
		}
		return b.binary("add", minus, x)
	}
	x, err := b.own(x)
	if err != nil {
		return nil, err
	}
	r, err := elementwise[name](x, y)
	return b.made(r, err, x, y)
}

var elementwise = map[string]func(x, y *gorgonia.Node) (*gorgonia.Node, error){
	"add": gorgonia.Add, "sub": gorgonia.Sub, "mul": gorgonia.HadamardProd, "div": gorgonia.HadamardDiv,
}

func (b *stockBuilder) scalar(v float32) *gorgonia.Node { return gorgonia.NewConstant(v) }

// scaled is n times v and shifted is n plus v; both own n.
func (b *stockBuilder) scaled(n *gorgonia.Node, v float32) (*gorgonia.Node, error) {
	return b.withScalar(gorgonia.HadamardProd, n, v)
}

func (b *stockBuilder) shifted(n *gorgonia.Node, v float32) (*gorgonia.Node, error) {
	return b.withScalar(gorgonia.Add, n, v)
}

func (b *stockBuilder) withScalar(f func(x, y *gorgonia.Node) (*gorgonia.Node, error), n *gorgonia.Node, v float32) (*gorgonia.Node, error) {
	n, err := b.own(n)
	if err != nil {
		return nil, err
	}
	r, err := f(n, b.scalar(v))
	return b.made(r, err, n)
}

// pair repeats the axes of size one of x and y that the other has more of. The
// two have the same rank.
func (b *stockBuilder) pair(x, y *gorgonia.Node) (*gorgonia.Node, *gorgonia.Node, error) {
	var left, right []byte
	for i, d := range x.Shape() {
		switch d {
		case y.Shape()[i]:
		case 1:
			left = append(left, byte(i))
		default:
			right = append(right, byte(i))
		}
	}
	if left == nil && right == nil {
		return x, y, nil
	}
	x2, y2, err := gorgonia.Broadcast(x, y, gorgonia.NewBroadcastPattern(left, right))
	if err != nil {
		return nil, nil, err
	}
	if _, err := b.made(x2, nil, x); err != nil {
		return nil, nil, err
	}
	_, err = b.made(y2, nil, y)
	return x2, y2, err
}

// matmul2 is the product of two matrices without transposition.
func (b *stockBuilder) matmul2(x, y *gorgonia.Node) (*gorgonia.Node, error) {
	r, err := gorgonia.Mul(x, y)
	return b.made(r, err, x, y)
}

// rowSums is x [r, n] times a column of v: [r, 1].
func (b *stockBuilder) rowSums(x *gorgonia.Node, v float32) (*gorgonia.Node, error) {
	col := b.constant(fmt.Sprintf("column %x", v), tensor.Shape{x.Shape()[1], 1}, func(c []float32) {
		for i := range c {
			c[i] = v
		}
	})
	return b.matmul2(x, col)
}
