package lazy

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// lower makes the nodes of one operator; the result has t's shape.
func (b *stockBuilder) lower(t *Tensor) (*gorgonia.Node, error) {
	shape, err := b.shape(t)
	if err != nil {
		return nil, err
	}
	if t.spec.DType != plan.F32 {
		return nil, noStock(t, "a result of %v", t.spec.DType)
	}
	if shape.TotalSize() == 0 || len(shape) == 0 {
		return nil, noStock(t, "a result of shape %v", []int(shape))
	}
	n, err := b.lowerOp(t, shape)
	if err != nil {
		return nil, err
	}
	return b.reshape(n, shape...)
}

func (b *stockBuilder) lowerOp(t *Tensor, shape tensor.Shape) (*gorgonia.Node, error) {
	switch o := t.op.(type) {
	case op.Identity, op.Contiguous, op.Reshape:
		return b.node(t.in[0], shape...)
	case op.Arith:
		return b.arith(t, o, shape)
	case op.Bias:
		return b.arith(t, op.Add(), shape)
	case op.Tanh:
		return b.elementwise(t, gorgonia.Tanh, shape)
	case op.ReLU:
		return b.elementwise(t, gorgonia.Rectify, shape)
	case op.GELU:
		return b.gelu(t, o, shape)
	case op.Softmax:
		return b.softmax(t, o, shape)
	case op.LayerNorm:
		return b.layerNorm(t, o, shape)
	case op.Embedding:
		return b.embedding(t)
	case op.MatMul:
		return b.matmul(t, o, shape)
	case op.Transpose:
		return b.transposed(t.in[0], o.Perm)
	case op.Slice:
		return b.sliced(t, o)
	case op.Concat:
		return b.concat(t, o, shape)
	case op.CausalMask:
		return b.causalMask(t, o, shape)
	case op.Reduce:
		return b.reduce(t, o)
	}
	return nil, noStock(t, "Gorgonia has no such operator")
}

func (b *stockBuilder) elementwise(t *Tensor, f func(*gorgonia.Node) (*gorgonia.Node, error), shape tensor.Shape) (*gorgonia.Node, error) {
	x, err := b.node(t.in[0], shape...)
	if err != nil {
		return nil, err
	}
	return b.unary(f, x)
}

// arith merges axes that broadcast alike, so that a bias is a row over a
// matrix, and repeats the rest.
func (b *stockBuilder) arith(t *Tensor, o op.Arith, shape tensor.Shape) (*gorgonia.Node, error) {
	if v, ok := scalarConst(t.in[1]); ok && o.Name() != "div" {
		if x, err := b.shape(t.in[0]); err != nil || x.TotalSize() == shape.TotalSize() {
			return b.arithScalar(t, o, shape, v)
		}
	}
	xs, ys, err := b.mergeAxes(t.in[0], t.in[1], shape)
	if err != nil {
		return nil, err
	}
	x, err := b.node(t.in[0], xs...)
	if err != nil {
		return nil, err
	}
	y, err := b.node(t.in[1], ys...)
	if err != nil {
		return nil, err
	}
	if x, y, err = b.pair(x, y); err != nil {
		return nil, err
	}
	return b.binary(o.Name(), x, y)
}

func (b *stockBuilder) arithScalar(t *Tensor, o op.Arith, shape tensor.Shape, v float32) (*gorgonia.Node, error) {
	x, err := b.node(t.in[0], shape...)
	if err != nil {
		return nil, err
	}
	switch o.Name() {
	case "mul":
		return b.scaled(x, v)
	case "sub":
		return b.shifted(x, -v)
	}
	return b.shifted(x, v)
}

func scalarConst(t *Tensor) (float32, bool) {
	if t.kind != KindConst || t.spec.DType != plan.F32 || len(t.data) != 4 {
		return 0, false
	}
	return float32s(t.data)[0], true
}

// mergeAxes gives shapes of equal rank for two operands: neighbouring axes
// that are repeated by the same side, or by neither, become one.
func (b *stockBuilder) mergeAxes(x, y *Tensor, out tensor.Shape) (xs, ys []int, err error) {
	a, err := b.shape(x)
	if err != nil {
		return nil, nil, err
	}
	c, err := b.shape(y)
	if err != nil {
		return nil, nil, err
	}
	last := -1
	for i, d := range out {
		p, q := at(a, i-len(out)+len(a)), at(c, i-len(out)+len(c))
		if d == 1 {
			continue
		}
		kind := 0
		if p != q {
			kind = 1
			if q == 1 {
				kind = 2
			}
		}
		if kind == last {
			xs[len(xs)-1] *= p
			ys[len(ys)-1] *= q
			continue
		}
		last, xs, ys = kind, append(xs, p), append(ys, q)
	}
	if len(xs) < 2 { // matrices: Gorgonia treats vectors and scalars apart
		xs, ys = append([]int{1}, xs...), append([]int{1}, ys...)
	}
	for len(xs) < 2 {
		xs, ys = append([]int{1}, xs...), append([]int{1}, ys...)
	}
	return xs, ys, nil
}

func at(s tensor.Shape, i int) int {
	if i < 0 {
		return 1
	}
	return s[i]
}

// gelu composes the tanh form; there is no error function for the exact one.
func (b *stockBuilder) gelu(t *Tensor, o op.GELU, shape tensor.Shape) (*gorgonia.Node, error) {
	if !o.Tanh {
		return nil, noStock(t, "Gorgonia has no error function")
	}
	x, err := b.node(t.in[0], shape...)
	if err != nil {
		return nil, err
	}
	y, err := b.binary("mul", x, x)
	if err != nil {
		return nil, err
	}
	if y, err = b.binary("mul", y, x); err != nil {
		return nil, err
	}
	if y, err = b.scaled(y, 0.044715); err != nil {
		return nil, err
	}
	if y, err = b.binary("add", y, x); err != nil {
		return nil, err
	}
	if y, err = b.scaled(y, float32(math.Sqrt(2/math.Pi))); err != nil {
		return nil, err
	}
	if y, err = b.unary(gorgonia.Tanh, y); err != nil {
		return nil, err
	}
	if y, err = b.shifted(y, 1); err != nil {
		return nil, err
	}
	if y, err = b.binary("mul", y, x); err != nil {
		return nil, err
	}
	return b.scaled(y, 0.5)
}

// softmax composes exp(x - max) / sum over the rows of a matrix. The stock
// operator takes the largest element of a row from all but its first and from
// the first of the whole tensor, so rows apart from that one overflow or
// vanish.
func (b *stockBuilder) softmax(t *Tensor, o op.Softmax, shape tensor.Shape) (*gorgonia.Node, error) {
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	if axis != len(shape)-1 {
		return nil, noStock(t, "axis %d of %v", o.Axis, t.spec.Shape)
	}
	m := rowsOf(shape)
	x, err := b.node(t.in[0], m...)
	if err != nil {
		return nil, err
	}
	top, err := b.rowMax(x)
	if err != nil {
		return nil, err
	}
	if x, err = b.rowOp("sub", x, top); err != nil {
		return nil, err
	}
	if x, err = b.unary(gorgonia.Exp, x); err != nil {
		return nil, err
	}
	sum, err := b.rowSums(x, 1)
	if err != nil {
		return nil, err
	}
	return b.rowOp("div", x, sum)
}

// rowMax is the largest of each row of x [r, n]: [r, 1].
func (b *stockBuilder) rowMax(x *gorgonia.Node) (*gorgonia.Node, error) {
	rows := x.Shape()[0]
	top, err := gorgonia.Max(x, 1)
	if top, err = b.made(top, err, x); err != nil {
		return nil, err
	}
	return b.reshape(top, rows, 1)
}

// rowsOf is shape as a matrix of its last axis.
func rowsOf(shape tensor.Shape) tensor.Shape {
	n := shape[len(shape)-1]
	return tensor.Shape{shape.TotalSize() / n, n}
}

// layerNorm takes the row sums as products with a column.
func (b *stockBuilder) layerNorm(t *Tensor, o op.LayerNorm, shape tensor.Shape) (*gorgonia.Node, error) {
	m := rowsOf(shape)
	x, err := b.node(t.in[0], m...)
	if err != nil {
		return nil, err
	}
	inv := 1 / float32(m[1])
	mean, err := b.rowSums(x, inv)
	if err != nil {
		return nil, err
	}
	d, err := b.rowOp("sub", x, mean)
	if err != nil {
		return nil, err
	}
	sq, err := b.binary("mul", d, d)
	if err != nil {
		return nil, err
	}
	v, err := b.rowSums(sq, inv)
	if err != nil {
		return nil, err
	}
	if v, err = b.shifted(v, float32(o.Eps)); err != nil {
		return nil, err
	}
	if v, err = b.unary(gorgonia.Sqrt, v); err != nil {
		return nil, err
	}
	if d, err = b.rowOp("div", d, v); err != nil {
		return nil, err
	}
	for i, name := range []string{"mul", "add"} {
		p, err := b.node(t.in[1+i], 1, m[1])
		if err != nil {
			return nil, err
		}
		if d, err = b.rowOp(name, d, p); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// rowOp is an elementwise operator of a matrix and a column or row.
func (b *stockBuilder) rowOp(name string, x, y *gorgonia.Node) (*gorgonia.Node, error) {
	x, y, err := b.pair(x, y)
	if err != nil {
		return nil, err
	}
	return b.binary(name, x, y)
}

func (b *stockBuilder) embedding(t *Tensor) (*gorgonia.Node, error) {
	table, idx := t.in[0], t.in[1]
	ts, err := b.shape(table)
	if err != nil {
		return nil, err
	}
	is, err := b.shape(idx)
	if err != nil {
		return nil, err
	}
	if idx.kind != KindInput {
		return nil, noStock(t, "indices that are no input")
	}
	x, err := b.node(table, ts...)
	if err != nil {
		return nil, err
	}
	n := is.TotalSize()
	l, _ := b.input(idx, fmt.Sprintf("%s rows %d", leafName(idx, b.salt), ts[0]), tensor.Int, tensor.Shape{n})
	l.rows = ts[0]
	y, err := gorgonia.ByIndices(x, l.node, 0)
	return b.made(y, err, x, l.node)
}

func (b *stockBuilder) matmul(t *Tensor, o op.MatMul, shape tensor.Shape) (*gorgonia.Node, error) {
	as, err := b.shape(t.in[0])
	if err != nil {
		return nil, err
	}
	bs, err := b.shape(t.in[1])
	if err != nil {
		return nil, err
	}
	ra, rb := len(as), len(bs)
	batch := as[:ra-2].TotalSize()
	if ra == 2 {
		batch = 1
	}
	a3 := tensor.Shape{batch, as[ra-2], as[ra-1]}
	b3 := tensor.Shape{batch, bs[rb-2], bs[rb-1]}
	switch {
	case rb == 2 && !o.TransA: // the batch is more rows
		a3 = tensor.Shape{1, batch * as[ra-2], as[ra-1]}
		b3[0] = 1
	case !slices.Equal(as[:ra-2], bs[:rb-2]):
		return nil, noStock(t, "batches %v and %v", []int(as[:ra-2]), []int(bs[:rb-2]))
	}
	if a3[0] == 1 && !o.TransA && !o.TransB {
		a3, b3 = a3[1:], b3[1:]
	}
	x, err := b.node(t.in[0], a3...)
	if err != nil {
		return nil, err
	}
	y, err := b.node(t.in[1], b3...)
	if err != nil {
		return nil, err
	}
	if len(a3) == 2 {
		return b.matmul2(x, y)
	}
	r, err := gorgonia.BatchedMatMul(x, y, o.TransA, o.TransB)
	return b.made(r, err, x, y)
}

// transposed is a reshape where only axes of size one move.
func (b *stockBuilder) transposed(x *Tensor, perm []int) (*gorgonia.Node, error) {
	s, err := b.shape(x)
	if err != nil {
		return nil, err
	}
	var wide []int
	out := make(tensor.Shape, len(perm))
	for i, p := range perm {
		out[i] = s[p]
		if s[p] > 1 {
			wide = append(wide, p)
		}
	}
	if slices.IsSorted(wide) {
		return b.node(x, out...)
	}
	// Without the axes of size one, which Gorgonia's transpose may lose.
	var from, axes, to []int
	order := slices.Sorted(slices.Values(wide))
	for _, p := range order {
		from = append(from, s[p])
	}
	for _, p := range wide {
		axes, to = append(axes, slices.Index(order, p)), append(to, s[p])
	}
	n, err := b.node(x, from...)
	if err != nil {
		return nil, err
	}
	r, err := gorgonia.Transpose(n, axes...)
	if r, err = b.made(r, err, n); err != nil {
		return nil, err
	}
	return b.reshape(r, to...)
}

// around is a shape seen from one axis: what is before it, itself, after it.
func around(s tensor.Shape, axis int) (before, n, after int) {
	before, after = 1, 1
	for i, d := range s {
		if i < axis {
			before *= d
		}
		if i > axis {
			after *= d
		}
	}
	return before, s[axis], after
}

func (b *stockBuilder) sliced(t *Tensor, o op.Slice) (*gorgonia.Node, error) {
	o, err := bound(b, o)
	if err != nil {
		return nil, err
	}
	s, err := b.shape(t.in[0])
	if err != nil {
		return nil, err
	}
	axis := o.Axis
	if axis < 0 {
		axis += len(s)
	}
	start, _ := o.Start.Const()
	stop, _ := o.Stop.Const()
	if start < 0 || stop > s[axis] {
		return nil, fmt.Errorf("%w: slice %d:%d of %v", ErrShape, start, stop, []int(s))
	}
	if start == 0 && stop == s[axis] {
		return b.node(t.in[0], s...)
	}
	before, n, after := around(s, axis)
	m, along := []int{n, after}, 0
	if before > 1 {
		m, along = []int{before, n * after}, 1
		start, stop = start*after, stop*after
	}
	x, err := b.node(t.in[0], m...)
	if err != nil {
		return nil, err
	}
	return b.slice(x, along, start, stop)
}

// concat leaves out what is empty.
func (b *stockBuilder) concat(t *Tensor, o op.Concat, shape tensor.Shape) (*gorgonia.Node, error) {
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	var parts []*gorgonia.Node
	for _, x := range t.in {
		s, err := b.shape(x)
		if err != nil {
			return nil, err
		}
		if s.TotalSize() == 0 {
			continue
		}
		before, n, after := around(s, axis)
		p, err := b.node(x, before, n*after)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	r, err := gorgonia.Concat(1, parts...)
	return b.made(r, err, parts...)
}

// reduce is a product with a column, over trailing axes.
func (b *stockBuilder) reduce(t *Tensor, o op.Reduce) (*gorgonia.Node, error) {
	s, err := b.shape(t.in[0])
	if err != nil {
		return nil, err
	}
	n := 1
	for _, a := range o.Axes {
		if a < 0 {
			a += len(s)
		}
		if a < len(s)-len(o.Axes) {
			return nil, noStock(t, "axes %v of %v", o.Axes, t.in[0].spec.Shape)
		}
		n *= s[a]
	}
	x, err := b.node(t.in[0], s.TotalSize()/n, n)
	if err != nil {
		return nil, err
	}
	switch o.Kind {
	case "sum":
		return b.rowSums(x, 1)
	case "mean":
		return b.rowSums(x, 1/float32(n))
	}
	return b.rowMax(x)
}
