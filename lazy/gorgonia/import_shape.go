package gorgonia

import (
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func (im *importer) identity(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	return im.operand(kids[0]), nil
}

func (im *importer) reshapeNode(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	to := f.ints("to")
	if f.err != nil {
		return nil, f.err
	}
	if !slices.Equal(to, n.Shape()) {
		return nil, fmt.Errorf("%w: reshape to %v of a node of shape %v", lazy.ErrShape, to, n.Shape())
	}
	return im.reshape(im.operand(kids[0]), to)
}

func (im *importer) transpose(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	return lazy.Transpose(im.operand(kids[0]), f.ints("pattern")...), f.err
}

// slice selects along one axis. The axis is dropped where one position is left,
// as the node's shape says. A slice to the end of a named dimension would be one
// of another length for other sizes: only the whole dimension is named.
func (im *importer) slice(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	along := f.int("along")
	start, end, step, all := f.slice()
	x, shape := im.operand(kids[0]), kids[0].Shape()
	switch {
	case f.err != nil:
		return nil, f.err
	case all:
		return x, nil
	case along < 0 || along >= len(x.Shape()) || start < 0 || end > shape[along]:
		return nil, fmt.Errorf("%w: slice %d:%d of axis %d of %v", lazy.ErrShape, start, end, along, shape)
	case start == 0 && end == shape[along] && step <= 1 && end > 1:
		return x, nil
	}
	if isNamed(x.Shape()[along]) && (end == shape[along] || step > 1) {
		return nil, fmt.Errorf("%w: slice %d:%d:%d of the dimension %v", errAmbiguous, start, end, step, x.Shape()[along])
	}
	if step > 1 {
		return im.strided(x, along, start, end, step)
	}
	return im.dropped(lazy.SliceN(x, along, start, end), along, n)
}

// dropped is x without an axis of size one, if the node has none.
func (im *importer) dropped(x *lazy.Tensor, axis int, n *gorgonia.Node) (*lazy.Tensor, error) {
	if x.Err() != nil || len(n.Shape()) == len(x.Shape()) {
		return x, x.Err()
	}
	return lazy.Reshape(x, sizesOf(slices.Delete(slices.Clone(x.Shape()), axis, axis+1))...), nil
}

// strided is every step-th position. Gorgonia counts (end-start)/step of them,
// rounded down, but at least one.
func (im *importer) strided(x *lazy.Tensor, axis, start, end, step int) (*lazy.Tensor, error) {
	var at []int32
	for i := range max((end-start)/step, 1) {
		at = append(at, int32(start+i*step))
	}
	return im.take(x, im.g.ConstInt(at, len(at)), axis), nil
}

// take gathers positions, a vector of integers, along an axis.
func (im *importer) take(x, at *lazy.Tensor, axis int) *lazy.Tensor {
	if x.Err() != nil || at.Err() != nil {
		return lazy.Embedding(x, at)
	}
	front := append([]int{axis}, others(x, []int{axis})...)
	moved := permuted(x, front)
	rest := moved.Shape()[1:]
	rows := lazy.Embedding(lazy.Reshape(moved, moved.Dim(0), rest.Elements()), at)
	back := make([]int, len(front))
	for i, p := range front {
		back[p] = i
	}
	return permuted(lazy.Reshape(rows, append([]any{at.Dim(0)}, sizesOf(rest)...)...), back)
}

func (im *importer) byIndices(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	axis := f.int("axis")
	x, at := im.operand(kids[0]), im.operand(kids[1])
	if f.err == nil && axis >= len(x.Shape()) {
		return nil, fmt.Errorf("%w: rows of axis %d of %v", lazy.ErrShape, axis, x.Shape())
	}
	return im.take(x, flat(at), axis), f.err
}

func (im *importer) concat(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	parts := make([]*lazy.Tensor, len(kids))
	for i, k := range kids {
		parts[i] = im.operand(k)
	}
	return lazy.Concat(f.int("axis"), parts...), f.err
}

// element is the number at a position.
func (im *importer) element(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	at, x := f.ints("coordinates"), im.operand(kids[0])
	if f.err == nil && len(at) != len(x.Shape()) {
		return nil, fmt.Errorf("%w: position %v of %v", lazy.ErrShape, at, x.Shape())
	}
	for axis, i := range at {
		x = lazy.SliceN(x, axis, i, i+1)
	}
	return lazy.Reshape(x), f.err
}

// size records the size of an axis.
func (im *importer) size(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	axis, x := f.int("axis"), im.operand(kids[0])
	switch {
	case f.err != nil:
		return nil, f.err
	case x.Err() != nil:
		return nil, x.Err()
	case axis < len(x.Shape()):
		im.counts[n] = x.Dim(axis)
	case len(x.Shape()) == 0:
		im.counts[n] = plan.C(1)
	default:
		return nil, fmt.Errorf("%w: size of axis %d of %v", lazy.ErrShape, axis, x.Shape())
	}
	return nil, errIsSize
}

// repeat repeats each position along an axis. The times are a size, or follow
// from the shapes.
func (im *importer) repeat(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	along, x := f.int("along"), im.operand(kids[0])
	times, ok := im.counts[kids[1]]
	if v, constant := scalarConstant(kids[1]); !ok && constant && v == float64(int(v)) {
		times, ok = plan.C(int(v)), true
	}
	switch {
	case f.err != nil:
		return nil, f.err
	case x.Err() != nil:
		return nil, x.Err()
	case !ok:
		return nil, fmt.Errorf("%w: a repetition whose number is computed from data", errNoCounterpart)
	case along < 0 || along >= len(n.Shape()) || along >= plan.MaxRank:
		return nil, fmt.Errorf("%w: repetition along axis %d of %v", lazy.ErrShape, along, n.Shape())
	}
	if missing := along + 1 - len(x.Shape()); missing > 0 { // a vector gets axes behind
		dims := sizesOf(x.Shape())
		for range missing {
			dims = append(dims, 1)
		}
		x = lazy.Reshape(x, dims...)
	}
	shape := slices.Clone(x.Shape())
	if shape[along].Is(1) {
		shape[along] = times
		t := lazy.Expand(x, sizesOf(shape)...)
		if s := im.small[x]; s != nil { // repeated along another axis before
			x = s
		}
		im.small[t] = x
		return t, nil
	}
	apart := slices.Insert(slices.Clone(shape), along+1, times)
	split := slices.Insert(slices.Clone(shape), along+1, plan.C(1))
	shape[along] = shape[along].Mul(times)
	return lazy.Reshape(lazy.Expand(lazy.Reshape(x, sizesOf(split)...), sizesOf(apart)...), sizesOf(shape)...), nil
}

// upsample repeats each pixel of x [n, c, h, w] along both axes.
func (im *importer) upsample(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	times, x := f.int("stride")+1, im.operand(kids[0])
	if f.err != nil {
		return nil, f.err
	}
	if x.Err() != nil || len(x.Shape()) != 4 {
		return nil, fmt.Errorf("%w: upsampling of %v, want [n, c, h, w]", lazy.ErrShape, x.Shape())
	}
	b, c, h, w := x.Dim(0), x.Dim(1), x.Dim(2), x.Dim(3)
	apart := lazy.Expand(lazy.Reshape(x, b, c, h, 1, w, 1), b, c, h, times, w, times)
	return lazy.Reshape(apart, b, c, h.Scale(times), w.Scale(times)), nil
}

// diagonal is the square matrix with x on its diagonal.
func (im *importer) diagonal(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	x := flat(im.operand(kids[0]))
	size, constant := x.Dim(0).Const()
	if x.Err() != nil || !constant || size > 1<<16 || 4*size*size > plan.MaxConstBytes {
		return nil, fmt.Errorf("%w: the diagonal of a matrix of %v rows", errNoCounterpart, x.Dim(0))
	}
	ones := make([]float32, size*size)
	for i := range size {
		ones[i*size+i] = 1
	}
	return lazy.Where(lazy.Cast(im.g.Const(ones, size, size), lazy.Bool), lazy.Reshape(x, size, 1), im.number(0)), nil
}

// convert changes the element type.
func (im *importer) convert(n *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	to, err := im.elementType(n.Dtype())
	if err != nil {
		return nil, err
	}
	x := im.operand(kids[0])
	if x.Err() == nil && x.DType() == to {
		return x, nil
	}
	return lazy.Cast(x, to), nil
}
