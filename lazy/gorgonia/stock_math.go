package gorgonia

import (
	"math"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func (b *stockBuilder) elementwise(t *lazy.Tensor, f func(*gorgonia.Node) (*gorgonia.Node, error), shape tensor.Shape) (*gorgonia.Node, error) {
	x, err := b.node(t.In()[0], shape...)
	if err != nil {
		return nil, err
	}
	return b.unary(f, x)
}

// arith merges axes that broadcast alike, so that a bias is a row over a
// matrix, and repeats the rest.
func (b *stockBuilder) arith(t *lazy.Tensor, o op.Arith, shape tensor.Shape) (*gorgonia.Node, error) {
	if v, ok := scalarConst(t.In()[1]); ok && o.Name() != "div" {
		if x, err := b.shape(t.In()[0]); err != nil || x.TotalSize() == shape.TotalSize() {
			return b.arithScalar(t, o, shape, v)
		}
	}
	xs, ys, err := b.mergeAxes(t.In()[0], t.In()[1], shape)
	if err != nil {
		return nil, err
	}
	x, err := b.node(t.In()[0], xs...)
	if err != nil {
		return nil, err
	}
	y, err := b.node(t.In()[1], ys...)
	if err != nil {
		return nil, err
	}
	if x, y, err = b.pair(x, y); err != nil {
		return nil, err
	}
	return b.binary(o.Name(), x, y)
}

func (b *stockBuilder) arithScalar(t *lazy.Tensor, o op.Arith, shape tensor.Shape, v float32) (*gorgonia.Node, error) {
	x, err := b.node(t.In()[0], shape...)
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

func scalarConst(t *lazy.Tensor) (float32, bool) {
	if t.Kind() != lazy.KindConst || t.DType() != plan.F32 || len(t.ConstData()) != 4 {
		return 0, false
	}
	return float32s(t.ConstData())[0], true
}

// mergeAxes returns shapes of equal rank for two operands: adjacent axes that
// the same operand repeats, or none, become one.
func (b *stockBuilder) mergeAxes(x, y *lazy.Tensor, out tensor.Shape) (xs, ys []int, err error) {
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
func (b *stockBuilder) gelu(t *lazy.Tensor, o op.GELU, shape tensor.Shape) (*gorgonia.Node, error) {
	if !o.Tanh {
		return nil, noStock(t, "Gorgonia has no error function")
	}
	x, err := b.node(t.In()[0], shape...)
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
func (b *stockBuilder) softmax(t *lazy.Tensor, o op.Softmax, shape tensor.Shape) (*gorgonia.Node, error) {
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	if axis != len(shape)-1 {
		return nil, noStock(t, "axis %d of %v", o.Axis, t.Shape())
	}
	m := rowsOf(shape)
	x, err := b.node(t.In()[0], m...)
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
func (b *stockBuilder) layerNorm(t *lazy.Tensor, o op.LayerNorm, shape tensor.Shape) (*gorgonia.Node, error) {
	m := rowsOf(shape)
	x, err := b.node(t.In()[0], m...)
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
	for i, p := range t.In()[1:] {
		name := []string{"mul", "add"}[i]
		p, err := b.node(p, 1, m[1])
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

// reduce is a product with a column, over trailing axes.
func (b *stockBuilder) reduce(t *lazy.Tensor, o op.Reduce) (*gorgonia.Node, error) {
	s, err := b.shape(t.In()[0])
	if err != nil {
		return nil, err
	}
	n := 1
	for _, a := range o.Axes {
		if a < 0 {
			a += len(s)
		}
		if a < len(s)-len(o.Axes) {
			return nil, noStock(t, "axes %v of %v", o.Axes, t.In()[0].Shape())
		}
		n *= s[a]
	}
	x, err := b.node(t.In()[0], s.TotalSize()/n, n)
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
