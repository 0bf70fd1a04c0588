package gorgonia

import (
	"fmt"
	"math"
	"slices"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// window is the geometry of im2col.
type window struct {
	h, w int
	conv lazy.Conv
}

func columnsOf(f *fields) window {
	return window{f.int("h"), f.int("w"), lazy.Conv{
		Stride:   [2]int{f.int("strideH"), f.int("strideW")},
		Pad:      [2]int{f.int("padH"), f.int("padW")},
		Dilation: [2]int{f.int("dilationH"), f.int("dilationW")},
	}}
}

// convolution is a captured convolution without a bias.
type convolution struct {
	x, w *lazy.Tensor
	conv lazy.Conv
}

// imageConv is what Gorgonia spells as five nodes.
type imageConv struct {
	image, filter *gorgonia.Node
	conv          lazy.Conv
}

// matchConv finds the convolution that Conv2d makes: columns of the image, as a
// matrix, times the filter as a transposed matrix, reshaped and transposed back.
func (im *importer) matchConv(n *gorgonia.Node) (imageConv, bool) {
	var none imageConv
	transposed, f := im.below(n, "transposeOp")
	if transposed == nil || !slices.Equal(f.ints("pattern"), []int{0, 3, 1, 2}) {
		return none, false
	}
	reshaped, _ := im.below(transposed[0], "reshapeOp")
	if reshaped == nil {
		return none, false
	}
	factors, f := im.below(reshaped[0], "linAlgBinOp")
	if factors == nil || f.byte(linAlgField) != matMul || f.bool("transA") || !f.bool("transB") {
		return none, false
	}
	patch, _ := im.below(factors[0], "reshapeOp")
	filter, _ := im.below(factors[1], "reshapeOp")
	if patch == nil || filter == nil {
		return none, false
	}
	image, f := im.below(patch[0], "im2colOp")
	if image == nil {
		return none, false
	}
	w := columnsOf(f)
	cols, kernel, out := patch[0].Shape(), filter[0].Shape(), n.Shape()
	if f.err != nil || len(cols) != 4 || len(kernel) != 4 || len(image[0].Shape()) != 4 ||
		!slices.Equal(kernel[1:], []int{image[0].Shape()[1], w.h, w.w}) ||
		!slices.Equal(out, []int{cols[0], kernel[0], cols[1], cols[2]}) {
		return none, false
	}
	return imageConv{image[0], filter[0], w.conv}, true
}

// below are the operands and attributes of a node with a stock operator; nil if
// it has another one, or is an input.
func (im *importer) below(n *gorgonia.Node, name string) ([]*gorgonia.Node, *fields) {
	if _, cut := im.inputs[n]; cut || n.Op() == nil {
		return nil, nil
	}
	if got, err := stockName(n.Op()); err != nil || got != name {
		return nil, nil
	}
	kids, err := children(n)
	if err != nil || len(kids) == 0 {
		return nil, nil
	}
	return kids, attributes(n.Op())
}

func (im *importer) convolve(c imageConv) *lazy.Tensor {
	x, w := im.operand(c.image), im.operand(c.filter)
	t := lazy.Conv2D(x, w, nil, c.conv)
	im.convs[t] = convolution{x, w, c.conv}
	return t
}

// columns captures im2col alone: a convolution with a filter for each element of
// the window, [n, h, w, c*kh*kw].
func (im *importer) columns(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	w, x := columnsOf(f), im.operand(kids[0])
	if f.err != nil {
		return nil, f.err
	}
	channels, n, err := im.windowed(x, w.h, w.w)
	if err != nil {
		return nil, err
	}
	filter := make([]float32, channels*n*channels*n)
	for i := range channels * n {
		filter[i*channels*n+i] = 1
	}
	return lazy.Transpose(lazy.Conv2D(x, im.g.Const(filter, channels*n, channels, w.h, w.w), nil, w.conv), 0, 2, 3, 1), nil
}

// windowed is the channels of an image and the size of a window, if filters for
// all elements of all windows fit in a plan.
func (im *importer) windowed(x *lazy.Tensor, h, w int) (channels, n int, err error) {
	if x.Err() != nil {
		return 0, 0, x.Err()
	}
	if len(x.Shape()) != 4 || h < 1 || w < 1 {
		return 0, 0, fmt.Errorf("%w: a window of %dx%d on %v", lazy.ErrShape, h, w, x.Shape())
	}
	channels, constant := x.Dim(1).Const()
	n = h * w
	if !constant || channels < 1 || channels > plan.MaxConstBytes || h > plan.MaxConstBytes || w > plan.MaxConstBytes ||
		channels*n > 1<<16 || 4*channels*n*channels*n > plan.MaxConstBytes {
		return 0, 0, fmt.Errorf("%w: a window of %dx%d on %v channels", errNoCounterpart, h, w, x.Dim(1))
	}
	return channels, n, nil
}

// pool is the geometry of a pool; before and after are the padding in front of
// and behind height and width.
type pool struct {
	kernel, stride, before, after [2]int
}

// poolOf reads the geometry. Where four paddings are given, Gorgonia's windows
// begin by the ones called south and east: its own tests hold that.
func poolOf(f *fields) pool {
	north, south := f.int("padNorth"), f.int("padSouth")
	west, east := f.int("padWest"), f.int("padEast")
	p := pool{
		kernel: [2]int{f.int("h"), f.int("w")}, stride: [2]int{f.int("strideH"), f.int("strideW")},
		before: [2]int{north, west}, after: [2]int{south, east},
	}
	if f.bool("explicitPadding") {
		p.before, p.after = p.after, p.before
	}
	return p
}

// maxPool pads as the graph says. A pool here pads both sides alike, so of unlike
// paddings the larger one is taken, and the windows that it adds are cut off.
func (im *importer) maxPool(n *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	p, x, out := poolOf(f), im.operand(kids[0]), n.Shape()
	if f.err != nil {
		return nil, f.err
	}
	if len(out) != 4 {
		return nil, fmt.Errorf("%w: a pool of shape %v", lazy.ErrShape, out)
	}
	pad, skip, ok := p.alike()
	if !ok || p.before != p.after && !constantImage(x) { // how many windows to cut off depends on the size
		for i := range 2 {
			x = im.padded(x, 2+i, p.before[i], p.after[i])
		}
		return lazy.MaxPool2D(x, p.kernel, p.stride, [2]int{}), nil
	}
	x = lazy.MaxPool2D(x, p.kernel, p.stride, pad)
	for i := range 2 {
		if n, ok := x.Dim(2 + i).Const(); x.Err() == nil && ok && n != out[2+i] {
			x = lazy.SliceN(x, 2+i, skip[i], skip[i]+out[2+i])
		}
	}
	return x, nil
}

// constantImage reports whether height and width have no symbols.
func constantImage(x *lazy.Tensor) bool {
	_, h := x.Dim(2).Const()
	_, w := x.Dim(3).Const()
	return h && w
}

// alike is the padding of both sides in place of unlike ones, and how many
// windows it adds in front: none is possible if the windows would begin
// elsewhere, or if one were of padding alone.
func (p pool) alike() (pad, skip [2]int, ok bool) {
	for i := range 2 {
		pad[i] = max(p.before[i], p.after[i])
		added := pad[i] - p.before[i]
		if p.stride[i] < 1 || pad[i] >= p.kernel[i] || added%p.stride[i] != 0 {
			return pad, skip, false
		}
		skip[i] = added / p.stride[i]
	}
	return pad, skip, true
}

// padded is x with the least number around it along an axis.
func (im *importer) padded(x *lazy.Tensor, axis, before, after int) *lazy.Tensor {
	block := func(n int) []*lazy.Tensor {
		if n == 0 || x.Err() != nil {
			return nil
		}
		shape := slices.Clone(x.Shape())
		shape[axis] = plan.C(n)
		return []*lazy.Tensor{lazy.Expand(im.number(-math.MaxFloat32), sizesOf(shape)...)}
	}
	parts := slices.Concat(block(before), []*lazy.Tensor{x}, block(after))
	if len(parts) == 1 {
		return x
	}
	return lazy.Concat(axis, parts...)
}

// averagePool divides by the size of the window, as an average does; Gorgonia
// divides by the width of the image. With padding the two have no reading in
// common, so that is refused.
func (im *importer) averagePool(_ *gorgonia.Node, kids []*gorgonia.Node, f *fields) (*lazy.Tensor, error) {
	p, x := poolOf(f), im.operand(kids[0])
	if f.err != nil {
		return nil, f.err
	}
	if p.before != [2]int{} || p.after != [2]int{} {
		return nil, fmt.Errorf("%w: an average pool with padding", errNoCounterpart)
	}
	channels, n, err := im.windowed(x, p.kernel[0], p.kernel[1])
	if err != nil {
		return nil, err
	}
	filter := slices.Repeat([]float32{1 / float32(n)}, channels*n)
	return lazy.Conv2D(x, im.g.Const(filter, channels, 1, p.kernel[0], p.kernel[1]), nil, lazy.Conv{Stride: p.stride, Groups: channels}), nil
}

func (im *importer) globalAverage(_ *gorgonia.Node, kids []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	x := im.operand(kids[0])
	if x.Err() != nil || len(x.Shape()) != 4 {
		return nil, fmt.Errorf("%w: global average of %v", lazy.ErrShape, x.Shape())
	}
	return lazy.Reshape(lazy.Mean(x, 2, 3), x.Dim(0), x.Dim(1), 1, 1), nil
}
