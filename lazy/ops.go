package lazy

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Flag transposes an operand of [MatMul].
type Flag uint8

// The flags.
const (
	TransA Flag = 1 << iota // the last two axes of a are swapped first
	TransB                  // the last two axes of b are swapped first
)

// MatMul is the matrix product over the last two axes: [..., m, k] and
// [..., k, n] give [..., m, n]. Leading axes broadcast like NumPy's, so a
// [k, n] weight serves every batch.
func MatMul(a, b *Tensor, flags ...Flag) *Tensor {
	var f Flag
	for _, x := range flags {
		f |= x
	}
	return Apply(op.MatMul{TransA: f&TransA != 0, TransB: f&TransB != 0}, a, b)
}

// Linear is x times w plus bias, if that is not nil: [..., k], [k, n] and [n]
// give [..., n].
func Linear(x, w, bias *Tensor) *Tensor {
	if bias == nil {
		return MatMul(x, w)
	}
	return Bias(MatMul(x, w), bias)
}

// Add is a + b with NumPy broadcasting. Operands of arithmetic have one type,
// f32, i32 or i64. Integers wrap.
func Add(a, b *Tensor) *Tensor { return Apply(op.Add(), a, b) }

// Sub is a - b with NumPy broadcasting.
func Sub(a, b *Tensor) *Tensor { return Apply(op.Sub(), a, b) }

// Mul is a * b, element by element, with NumPy broadcasting.
func Mul(a, b *Tensor) *Tensor { return Apply(op.Mul(), a, b) }

// Div is a / b, element by element, with NumPy broadcasting. A quotient of
// integers is truncated towards zero; that by zero is 0.
func Div(a, b *Tensor) *Tensor { return Apply(op.Div(), a, b) }

// Scale is x times a constant.
func Scale(x *Tensor, s float32) *Tensor {
	if x == nil || x.g == nil {
		return Apply(op.Mul(), x)
	}
	return Mul(x, x.g.Const([]float32{s}, 1))
}

// Bias adds a vector [n] to x [..., n].
func Bias(x, b *Tensor) *Tensor { return Apply(op.Bias{}, x, b) }

// GELU is x*Phi(x), with the error function.
func GELU(x *Tensor) *Tensor { return Apply(op.GELU{}, x) }

// GELUTanh is GPT-2's approximation of GELU ("gelu_new").
func GELUTanh(x *Tensor) *Tensor { return Apply(op.GELU{Tanh: true}, x) }

// QuickGELU is x*sigmoid(1.702*x), CLIP's approximation of GELU.
func QuickGELU(x *Tensor) *Tensor { return Apply(op.QuickGELU{}, x) }

// SiLU is x*sigmoid(x), also called swish.
func SiLU(x *Tensor) *Tensor { return Apply(op.SiLU{}, x) }

// Exp is e^x.
func Exp(x *Tensor) *Tensor { return Apply(op.Exp{}, x) }

// Sqrt is the square root.
func Sqrt(x *Tensor) *Tensor { return Apply(op.Sqrt{}, x) }

// ReLU is max(x, 0).
func ReLU(x *Tensor) *Tensor { return Apply(op.ReLU{}, x) }

// Tanh is the hyperbolic tangent.
func Tanh(x *Tensor) *Tensor { return Apply(op.Tanh{}, x) }

// Softmax is exp(x - max) / sum along an axis; negative axes count from the
// last.
func Softmax(x *Tensor, axis int) *Tensor { return Apply(op.Softmax{Axis: axis}, x) }

// Embedding gathers rows of table [rows, width] by an i32 or i64 index [...]:
// [..., width].
func Embedding(table, index *Tensor) *Tensor { return Apply(op.Embedding{}, table, index) }

// Reshape changes the shape of x, with the same number of elements. Dimensions
// are ints, plan.Dim values or strings; one may be -1 and is computed.
func Reshape(x *Tensor, dims ...any) *Tensor {
	free := -1
	dims = slices.Clone(dims)
	for i, d := range dims {
		if d == -1 && free < 0 {
			free, dims[i] = i, 1
		}
	}
	shape, err := parseShape(dims)
	if err == nil && free >= 0 && x != nil && x.err == nil {
		d, ok := x.spec.Shape.Elements().Div(shape.Elements())
		if !ok {
			err = fmt.Errorf("%w: reshape of %v to %v leaves no whole dimension", ErrShape, x.spec.Shape, shape)
		}
		shape[free] = d
	}
	if err != nil && x != nil {
		return x.g.fail("reshape", []*Tensor{x}, err)
	}
	return Apply(op.Reshape{Shape: shape}, x)
}

// Expand repeats x along new leading axes and axes of size one. Dimensions are
// ints, plan.Dim values or strings.
func Expand(x *Tensor, dims ...any) *Tensor {
	shape, err := parseShape(dims)
	if err != nil && x != nil {
		return x.g.fail("expand", []*Tensor{x}, err)
	}
	return Apply(op.Expand{Shape: shape}, x)
}

// Transpose permutes the axes: output axis i is input axis perm[i].
func Transpose(x *Tensor, perm ...int) *Tensor {
	return Apply(op.Transpose{Perm: slices.Clone(perm)}, x)
}

// Slice selects positions start to stop (exclusive) along an axis.
func Slice(x *Tensor, axis int, start, stop plan.Dim) *Tensor {
	return Apply(op.Slice{Axis: axis, Start: start, Stop: stop}, x)
}

// SliceN is [Slice] with constant bounds.
func SliceN(x *Tensor, axis, start, stop int) *Tensor {
	return Slice(x, axis, plan.C(start), plan.C(stop))
}

// Last is the last position along an axis, which is dropped.
func Last(x *Tensor, axis int) *Tensor {
	n := x.Dim(axis)
	s := Slice(x, axis, n.Sub(plan.C(1)), n)
	if s.Err() != nil {
		return s
	}
	if axis < 0 {
		axis += len(s.spec.Shape)
	}
	return Apply(op.Reshape{Shape: slices.Delete(slices.Clone(s.spec.Shape), axis, axis+1)}, s)
}

// Split cuts x into n equal parts along an axis.
func Split(x *Tensor, n, axis int) []*Tensor {
	if n < 1 {
		if x.Err() == nil {
			x.g.fail("split", []*Tensor{x}, fmt.Errorf("%w: into %d parts", ErrShape, n))
		}
		return nil
	}
	out := make([]*Tensor, n)
	part, ok := x.Dim(axis).Div(plan.C(n))
	for i := range out {
		if x.Err() == nil && (!ok || part.Is(0)) {
			out[i] = x.g.fail("split", []*Tensor{x}, fmt.Errorf("%w: axis %d of %v into %d parts", ErrShape, axis, x.spec.Shape, n))
			continue
		}
		out[i] = Slice(x, axis, part.Scale(i), part.Scale(i+1))
	}
	return out
}

// Concat joins tensors of one type along an axis.
func Concat(axis int, xs ...*Tensor) *Tensor {
	return Apply(op.Concat{Axis: axis}, slices.Clone(xs)...)
}

// CausalMask masks attention scores [batch, ..., q, k]: query i has key
// position k-q+i and attends to no later key. start, if not nil, is i32 or i64
// [batch]: the number of padding keys before each sequence, which no query
// attends to.
func CausalMask(scores, start *Tensor) *Tensor { return WindowMask(scores, start, 0) }

// WindowMask is [CausalMask] where a query attends only to the last window
// keys; 0 means all.
func WindowMask(scores, start *Tensor, window int) *Tensor {
	if start == nil {
		return Apply(op.CausalMask{Window: window}, scores)
	}
	return Apply(op.CausalMask{Window: window}, scores, start)
}

// Equal compares elements of two tensors of one type, f32, i32, i64 or bool,
// with NumPy broadcasting. The result is bool.
func Equal(a, b *Tensor) *Tensor { return Apply(op.Equal{}, a, b) }

// Where is a where cond (bool) holds and b elsewhere, all three broadcast.
func Where(cond, a, b *Tensor) *Tensor { return Apply(op.Where{}, cond, a, b) }

// ArgMax is the index (i32) of the first largest element along an axis, which
// is dropped.
func ArgMax(x *Tensor, axis int) *Tensor { return Apply(op.ArgMax{Axis: axis}, x) }

// TopK is the k largest elements of the last axis, largest first, and their
// indices (i32).
func TopK(x *Tensor, k int) (values, indices *Tensor) {
	return Apply(op.TopK{K: k}, x), Apply(op.TopK{K: k, Indices: true}, x)
}

// Sampling holds the parameters of [Sample], each [batch]: temperature and
// top-p (f32), top-k (i32), seed (i64) and counter (i32 or i64).
type Sampling struct{ Temperature, TopP, TopK, Seed, Counter *Tensor }

// Sample draws a token (i32 [batch]) from logits [batch, vocab]: temperature 0
// is greedy, top-k 0 and top-p 1 keep all tokens. The draw depends only on seed
// and counter.
func Sample(logits *Tensor, p Sampling) *Tensor {
	return Apply(op.Sample{}, logits, p.Temperature, p.TopP, p.TopK, p.Seed, p.Counter)
}

// Cast changes the element type.
func Cast(x *Tensor, to plan.DType) *Tensor { return Apply(op.Cast{To: to}, x) }

func reduce(kind string, x *Tensor, axes []int) *Tensor {
	o := op.Reduce{Kind: kind, Axes: slices.Clone(axes)}
	if len(axes) == 0 {
		for i := range x.Shape() {
			o.Axes = append(o.Axes, i)
		}
	}
	return Apply(o, x)
}

// Sum adds over axes, all if none is given; they are dropped.
func Sum(x *Tensor, axes ...int) *Tensor {
	return reduce("sum", x, axes)
}

// Mean averages over axes, all if none is given; they are dropped.
func Mean(x *Tensor, axes ...int) *Tensor {
	return reduce("mean", x, axes)
}

// Max is the largest element over axes, all if none is given; they are dropped.
func Max(x *Tensor, axes ...int) *Tensor {
	return reduce("max", x, axes)
}

// Pick is position index[b] of each sequence b of x: [batch, n, ...] and an i32
// or i64 index [batch] give [batch, ...].
func Pick(x, index *Tensor) *Tensor { return Apply(op.Pick{}, x, index) }

// Identity is x.
func Identity(x *Tensor) *Tensor { return Apply(op.Identity{}, x) }

// WriteRows overwrites rows of cache from position pos (one i32 or i64) along
// an axis.
func WriteRows(cache, rows, pos *Tensor, axis int) *Tensor {
	return Apply(op.WriteRows{Axis: axis}, cache, rows, pos)
}

// Conv is the geometry of [Conv2D]; the zero value of a stride, a dilation or
// the groups means 1.
type Conv struct {
	Stride, Pad, Dilation [2]int
	Groups                int
}

// Conv2D is the cross-correlation of x [n, c, h, w] with w [out, c/groups, kh,
// kw], plus bias [out] if not nil.
func Conv2D(x, w, bias *Tensor, c Conv) *Tensor {
	for i := range 2 {
		c.Stride[i], c.Dilation[i] = max(c.Stride[i], 1), max(c.Dilation[i], 1)
	}
	o := op.Conv2D{Stride: c.Stride, Pad: c.Pad, Dilation: c.Dilation, Groups: max(c.Groups, 1)}
	if bias == nil {
		return Apply(o, x, w)
	}
	return Apply(o, x, w, bias)
}

// MaxPool2D is the largest element of each window of x [n, c, h, w].
func MaxPool2D(x *Tensor, kernel, stride, pad [2]int) *Tensor {
	return Apply(op.MaxPool2D{Kernel: kernel, Stride: stride, Pad: pad}, x)
}

// BatchNorm is inference-time batch normalisation of x [n, c, ...] with
// parameters [c].
func BatchNorm(x, gamma, beta, mean, variance *Tensor, eps float64) *Tensor {
	return Apply(op.BatchNorm{Eps: eps}, x, gamma, beta, mean, variance)
}
