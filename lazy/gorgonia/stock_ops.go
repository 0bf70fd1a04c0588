package gorgonia

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// lower makes the nodes of one operator; the result has t's shape.
func (b *stockBuilder) lower(t *lazy.Tensor) (*gorgonia.Node, error) {
	shape, err := b.shape(t)
	if err != nil {
		return nil, err
	}
	if t.DType() != plan.F32 {
		return nil, noStock(t, "a result of %v", t.DType())
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

func (b *stockBuilder) lowerOp(t *lazy.Tensor, shape tensor.Shape) (*gorgonia.Node, error) {
	switch o := lazygraph.Op(t).(type) {
	case op.Identity, op.Contiguous, op.Reshape:
		return b.node(t.In()[0], shape...)
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
		return b.matmul(t, o)
	case op.Transpose:
		return b.transposed(t.In()[0], o.Perm)
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

func (b *stockBuilder) embedding(t *lazy.Tensor) (*gorgonia.Node, error) {
	table, idx := t.In()[0], t.In()[1]
	ts, err := b.shape(table)
	if err != nil {
		return nil, err
	}
	is, err := b.shape(idx)
	if err != nil {
		return nil, err
	}
	if idx.Kind() != lazy.KindInput && idx.Kind() != lazy.KindConst {
		return nil, noStock(t, "indices that are neither input nor constant")
	}
	x, err := b.node(table, ts...)
	if err != nil {
		return nil, err
	}
	n := is.TotalSize()
	l, _ := b.input(idx, fmt.Sprintf("%s rows %d", leafName(idx, b.salt), ts[0]), tensor.Int, tensor.Shape{n})
	l.rows = ts[0]
	if idx.Kind() == lazy.KindConst {
		if err := l.set(transport.Tensor{DType: idx.DType(), Shape: is, Data: idx.ConstData()}); err != nil {
			return nil, err
		}
	}
	y, err := gorgonia.ByIndices(x, l.node, 0)
	return b.made(y, err, x, l.node)
}

func (b *stockBuilder) matmul(t *lazy.Tensor, o op.MatMul) (*gorgonia.Node, error) {
	as, err := b.shape(t.In()[0])
	if err != nil {
		return nil, err
	}
	bs, err := b.shape(t.In()[1])
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
	x, err := b.node(t.In()[0], a3...)
	if err != nil {
		return nil, err
	}
	y, err := b.node(t.In()[1], b3...)
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
func (b *stockBuilder) transposed(x *lazy.Tensor, perm []int) (*gorgonia.Node, error) {
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

// around is a shape split at one axis: what is before it, itself, after it.
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

func (b *stockBuilder) sliced(t *lazy.Tensor, o op.Slice) (*gorgonia.Node, error) {
	start, err := o.Start.Eval(b.sizes)
	if err != nil {
		return nil, err
	}
	stop, err := o.Stop.Eval(b.sizes)
	if err != nil {
		return nil, err
	}
	s, err := b.shape(t.In()[0])
	if err != nil {
		return nil, err
	}
	axis := o.Axis
	if axis < 0 {
		axis += len(s)
	}
	if start > stop || stop > s[axis] {
		return nil, fmt.Errorf("%w: slice %d:%d of %v", lazy.ErrShape, start, stop, []int(s))
	}
	if start == 0 && stop == s[axis] {
		return b.node(t.In()[0], s...)
	}
	before, n, after := around(s, axis)
	m, along := []int{n, after}, 0
	if before > 1 {
		m, along = []int{before, n * after}, 1
		start, stop = start*after, stop*after
	}
	x, err := b.node(t.In()[0], m...)
	if err != nil {
		return nil, err
	}
	return b.slice(x, along, start, stop)
}

// concat skips empty operands.
func (b *stockBuilder) concat(t *lazy.Tensor, o op.Concat, shape tensor.Shape) (*gorgonia.Node, error) {
	axis := o.Axis
	if axis < 0 {
		axis += len(shape)
	}
	var parts []*gorgonia.Node
	for _, x := range t.In() {
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
