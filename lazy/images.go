package lazy

import (
	"fmt"
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Conv1D is the cross-correlation of x [n, c, l] with w [out, c/groups, k], plus
// bias [out] if not nil.
func Conv1D(x, w, bias *Tensor, stride, pad, dilation, groups int) *Tensor {
	y := Conv2D(flat(x), flat(w), bias, Conv{Stride: [2]int{1, stride}, Pad: [2]int{0, pad}, Dilation: [2]int{1, dilation}, Groups: groups})
	return unflat(y)
}

// flat is a sequence [n, c, l] as images [n, c, 1, l].
func flat(x *Tensor) *Tensor {
	if x.Err() != nil || len(x.spec.Shape) != 3 {
		return x.failed("conv1d", fmt.Errorf("%w: a sequence %v, want [n, c, length]", ErrShape, x.Shape()))
	}
	s := x.spec.Shape
	return Apply(op.Reshape{Shape: plan.Shape{s[0], s[1], plan.C(1), s[2]}}, x)
}

// unflat is the inverse of flat.
func unflat(x *Tensor) *Tensor {
	if x.Err() != nil {
		return x
	}
	s := x.spec.Shape
	return Apply(op.Reshape{Shape: plan.Shape{s[0], s[1], s[3]}}, x)
}

// ConvTranspose is the geometry of [ConvTranspose2D]; the zero value of a stride,
// a dilation or the groups means 1. The padding is cut off the output: top, left,
// bottom, right. OutPad adds rows and columns at its end.
type ConvTranspose struct {
	Stride, Dilation, OutPad [2]int
	Pad                      [4]int
	Groups                   int
}

// ConvTranspose2D is the transpose of a convolution: x [n, c, h, w] with
// w [c, out/groups, kh, kw], plus bias [out] if not nil.
func ConvTranspose2D(x, w, bias *Tensor, c ConvTranspose) *Tensor {
	for i := range 2 {
		c.Stride[i], c.Dilation[i] = max(c.Stride[i], 1), max(c.Dilation[i], 1)
	}
	o := op.ConvTranspose2D{Stride: c.Stride, Dilation: c.Dilation, OutPad: c.OutPad, Pad: c.Pad, Groups: max(c.Groups, 1)}
	if bias == nil {
		return Apply(o, x, w)
	}
	return Apply(o, x, w, bias)
}

// Pool is the geometry of a pool; the zero value of a stride or a dilation means
// 1. The padding is top, left, bottom, right. Ceil rounds the number of windows
// up.
type Pool struct {
	Kernel, Stride, Dilation [2]int
	Pad                      [4]int
	Ceil                     bool
}

// MaxPool is the largest element of each window of x [n, c, h, w]; padding never
// wins.
func MaxPool(x *Tensor, p Pool) *Tensor {
	for i := range 2 {
		p.Stride[i], p.Dilation[i] = max(p.Stride[i], 1), max(p.Dilation[i], 1)
	}
	o := op.MaxPool2D{Kernel: p.Kernel, Stride: p.Stride, Pad: [2]int{p.Pad[0], p.Pad[1]}, Ceil: p.Ceil}
	if p.Dilation != [2]int{1, 1} {
		o.Dilation = p.Dilation
	}
	if p.Pad[0] != p.Pad[2] || p.Pad[1] != p.Pad[3] {
		if p.Ceil || min(p.Pad[0], p.Pad[1], p.Pad[2], p.Pad[3]) < 0 {
			return x.failed("max_pool", fmt.Errorf("%w: padding %v, rounded up: %t", ErrShape, p.Pad, p.Ceil))
		}
		x, o.Pad = Pad(x, []int{0, 0, p.Pad[0], p.Pad[1]}, []int{0, 0, p.Pad[2], p.Pad[3]}, math.Inf(-1)), [2]int{}
	}
	return Apply(o, x)
}

// AvgPool is the mean of each window of x [n, c, h, w]: of its pixels, or if
// countPad of these and the padding.
func AvgPool(x *Tensor, p Pool, countPad bool) *Tensor {
	for i := range 2 {
		p.Stride[i], p.Dilation[i] = max(p.Stride[i], 1), max(p.Dilation[i], 1)
	}
	return Apply(op.AvgPool2D{Kernel: p.Kernel, Stride: p.Stride, Dilation: p.Dilation, Pad: p.Pad, CountPad: countPad, Ceil: p.Ceil}, x)
}

// GroupNorm normalises each of the groups of channels of x [n, c, ...] and
// applies gamma [c] and beta [c].
func GroupNorm(x, gamma, beta *Tensor, groups int, eps float64) *Tensor {
	return Apply(op.GroupNorm{Groups: groups, Eps: eps}, x, gamma, beta)
}

// InstanceNorm is [GroupNorm] with a group for each channel, whose number must be
// known.
func InstanceNorm(x, gamma, beta *Tensor, eps float64) *Tensor {
	c, ok := x.Dim(1).Const()
	if x.Err() == nil && !ok {
		return x.failed("instance_norm", fmt.Errorf("%w: instance norm of %v", ErrShape, x.spec.Shape))
	}
	return GroupNorm(x, gamma, beta, c, eps)
}

// ResizeMode is how [Resize] interpolates. The zero value of a field is the
// first of its choices.
type ResizeMode struct {
	// Mode is nearest, linear or cubic.
	Mode string
	// Coords maps positions: half_pixel, pytorch_half_pixel,
	// half_pixel_symmetric, align_corners or asymmetric.
	Coords string
	// Nearest rounds positions: round_prefer_floor, round_prefer_ceil, floor or
	// ceil.
	Nearest string
	// Cubic is the coefficient of the cubic kernel; 0 means -0.75.
	Cubic float64
	// Scales are the ratios by which positions map, by axis; nil for those of
	// the sizes.
	Scales []float64
}

// Resize interpolates x to a shape of the same rank, as ONNX's Resize does.
// Dimensions are ints, plan.Dim values or strings.
func Resize(x *Tensor, m ResizeMode, dims ...any) *Tensor {
	shape, err := parseShape(dims)
	if err != nil {
		return x.failed("resize", err)
	}
	o := op.Resize{Shape: shape, Mode: m.Mode, Coords: m.Coords, Nearest: m.Nearest, Cubic: m.Cubic, Scales: slices.Clone(m.Scales)}
	for field, first := range map[*string]string{&o.Mode: "nearest", &o.Coords: "half_pixel", &o.Nearest: "round_prefer_floor"} {
		if *field == "" {
			*field = first
		}
	}
	if o.Cubic == 0 {
		o.Cubic = -0.75
	}
	return Apply(o, x)
}

// Cell is the kind of a [Recurrent] layer.
type Cell = op.Cell

// The cells.
const (
	LSTM = op.CellLSTM
	GRU  = op.CellGRU
	RNN  = op.CellRNN
)

// Recurrent describes a recurrent layer as ONNX defines it, over x [seq, batch,
// in]. W [dirs, gates*hidden, in], R [dirs, gates*hidden, hidden] and, if not
// nil, B [dirs, 2*gates*hidden] have the gates in ONNX's order. H and C are the
// first states [dirs, batch, hidden], zeros if nil; C and the peepholes P
// [dirs, 3*hidden] are an LSTM's. Lengths, if not nil, is i32 [batch].
type Recurrent struct {
	Cell          Cell
	Direction     string   // forward, if empty, reverse or both
	Activations   []string // those of the cell if empty: sigmoid and tanh
	Clip          float64  // bound of what activations are applied to; 0 for none
	Coupled       bool     // an LSTM's input_forget, a GRU's linear_before_reset
	W, R, B, H, C *Tensor
	Lengths, P    *Tensor
}

// Run is the hidden state after each position y [seq, dirs, batch, hidden], the
// final one h [dirs, batch, hidden], and the final cell state of an LSTM, nil for
// another cell.
func (l Recurrent) Run(x *Tensor) (y, h, c *Tensor) {
	if x.Err() != nil || l.R.Err() != nil || len(x.spec.Shape) != 3 || len(l.R.spec.Shape) != 3 {
		err := fmt.Errorf("%w: %s of %v with R %v", ErrShape, l.Cell, x.Shape(), l.R.Shape())
		if e := l.R.Err(); e != nil {
			err = e
		}
		f := x.failed(string(l.Cell), err)
		return f, f, f
	}
	out := Apply(l.operator(), l.inputs(x)...)
	if out.Err() != nil {
		return out, out, out
	}
	seq, hidden := x.spec.Shape[0], l.R.spec.Shape[2]
	states := out
	if l.Cell == LSTM {
		states = Slice(out, 3, plan.C(0), hidden)
		c = Last(Slice(out, 3, hidden, hidden.Scale(2)), 0)
	}
	return Slice(states, 0, plan.C(0), seq), Last(states, 0), c
}

func (l Recurrent) operator() op.Recurrent {
	o := op.Recurrent{Kind: l.Cell, Direction: l.Direction, Clip: l.Clip, Coupled: l.Coupled, Lengths: l.Lengths != nil, Peepholes: l.P != nil}
	if o.Direction == "" {
		o.Direction = "forward"
	}
	names := slices.Clone(l.Activations)
	if len(names) == 0 {
		names = map[Cell][]string{LSTM: {"sigmoid", "tanh", "tanh"}, GRU: {"sigmoid", "tanh"}, RNN: {"tanh"}}[l.Cell]
		if o.Direction == "both" {
			names = append(names, names...)
		}
	}
	for i, n := range names {
		if i > 0 {
			o.Activations += ","
		}
		o.Activations += n
	}
	return o
}

// inputs are the operands, with zeros for those that are missing.
func (l Recurrent) inputs(x *Tensor) []*Tensor {
	g, r := x.g, l.R.spec.Shape
	zeros := func(s ...plan.Dim) *Tensor { return Apply(op.Expand{Shape: s}, g.Const([]float32{0})) }
	b, h, c := l.B, l.H, l.C
	if b == nil {
		b = zeros(r[0], r[1].Scale(2))
	}
	if h == nil {
		h = zeros(r[0], x.spec.Shape[1], r[2])
	}
	in := []*Tensor{x, l.W, l.R, b, h}
	if l.Cell == LSTM {
		if c == nil {
			c = zeros(r[0], x.spec.Shape[1], r[2])
		}
		in = append(in, c)
	}
	if l.Lengths != nil {
		in = append(in, l.Lengths)
	}
	if l.P != nil {
		in = append(in, l.P)
	}
	return in
}
