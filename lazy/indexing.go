package lazy

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Gather takes positions along an axis: x [a..., n, b...] of any type and an i32
// or i64 index [i...] give [a..., i..., b...]. A negative index counts from the
// end; one outside of -n to n-1 fails the run with [transport.ErrIndexRange].
func Gather(x, index *Tensor, axis int) *Tensor { return Apply(op.Gather{Axis: axis}, x, index) }

// GatherElements takes single elements along an axis: for axis 0 the element
// [i, j, ...] is x[index[i, j, ...], j, ...]. The i32 or i64 index has the rank
// of x and, on the other axes, at most its sizes.
func GatherElements(x, index *Tensor, axis int) *Tensor {
	return Apply(op.GatherElements{Axis: axis}, x, index)
}

// GatherND takes slices of x at tuples of indices, i32 or i64 [b..., i..., k]:
// [b..., i..., the axes of x after b and the k indexed ones]. The first batch
// axes b are common to both.
func GatherND(x, index *Tensor, batch int) *Tensor { return Apply(op.GatherND{Batch: batch}, x, index) }

// Combine is what a scatter does with an update and the element that is there.
type Combine = op.Combine

// The combinations: the last update replaces the element, or all are added,
// multiplied, or the smallest or largest stays.
const (
	CombineNone = op.CombineNone
	CombineAdd  = op.CombineAdd
	CombineMul  = op.CombineMul
	CombineMin  = op.CombineMin
	CombineMax  = op.CombineMax
)

// ScatterElements is data with the elements that [GatherElements] would take
// replaced by updates, of the shape of the index.
func ScatterElements(data, index, updates *Tensor, axis int, c Combine) *Tensor {
	return Apply(op.ScatterElements{Axis: axis, Combine: c}, data, index, updates)
}

// ScatterND is data with the slices that [GatherND], without common axes, would
// take replaced by updates.
func ScatterND(data, index, updates *Tensor, c Combine) *Tensor {
	return Apply(op.ScatterND{Combine: c}, data, index, updates)
}

// PadMode says what a padding consists of.
type PadMode = op.PadMode

// The modes: one value, the elements next to the edge mirrored, the edge
// element, and the elements from the other end.
const (
	PadConstant = op.PadConstant
	PadReflect  = op.PadReflect
	PadEdge     = op.PadEdge
	PadWrap     = op.PadWrap
)

// Pad adds before[d] and after[d] elements of value at the ends of each axis d.
// Negative amounts cut elements off.
func Pad(x *Tensor, before, after []int, value float64) *Tensor {
	return Apply(op.Pad{Mode: PadConstant, Before: slices.Clone(before), After: slices.Clone(after), Value: value}, x)
}

// PadWith is [Pad] with elements of x itself, by the mode. Reflection needs an
// axis that is larger than the amount.
func PadWith(x *Tensor, mode PadMode, before, after []int) *Tensor {
	return Apply(op.Pad{Mode: mode, Before: slices.Clone(before), After: slices.Clone(after)}, x)
}

// CumSum is the sum of all elements up to each one along an axis, of f32, i32 or
// i64.
func CumSum(x *Tensor, axis int) *Tensor { return Apply(op.CumSum{Axis: axis}, x) }

// CumSumOf is [CumSum] without the element itself if exclusive, and from the end
// if reverse.
func CumSumOf(x *Tensor, axis int, exclusive, reverse bool) *Tensor {
	return Apply(op.CumSum{Axis: axis, Exclusive: exclusive, Reverse: reverse}, x)
}

// Triu is the upper triangle of each matrix [..., r, c], from the diagonal k to
// the right of the main one; other elements are zero.
func Triu(x *Tensor, k int) *Tensor { return Apply(op.TriLU{Upper: true, K: k}, x) }

// Tril is the lower triangle of each matrix [..., r, c], up to the diagonal k to
// the right of the main one; other elements are zero.
func Tril(x *Tensor, k int) *Tensor { return Apply(op.TriLU{K: k}, x) }

// Range is the numbers start, start+step, and so on, n of them, of f32, i32 or
// i64. The length is an int, a plan.Dim or a string. For a start that is a
// symbol, take a [Slice] of a longer range.
func (g *Graph) Range(dt plan.DType, start, step int, length any) *Tensor {
	shape, err := parseShape([]any{length})
	if err != nil {
		return g.fail("range", nil, err)
	}
	return g.apply(op.Range{DType: dt, Length: shape[0], Start: start, Step: step}, nil)
}

// Flip reverses x along an axis.
func Flip(x *Tensor, axis int) *Tensor { return Every(x, axis, -1) }

// Every takes every step-th position along an axis: from the first one, or from
// the last one backwards if step is negative.
func Every(x *Tensor, axis, step int) *Tensor {
	if x.Err() != nil || step == 0 || step > plan.MaxDimSize || step < -plan.MaxDimSize {
		return x.failed("every", fmt.Errorf("%w: every %d of axis %d", ErrShape, step, axis))
	}
	n, size := x.Dim(axis), max(step, -step)
	count := n.Add(plan.C(size - 1)).FloorDiv(size) // rounded up
	start := 0
	if step < 0 {
		start = -1 // from the end, as an index counts
	}
	return Gather(x, x.g.Range(I64, start, step, count), axis)
}

// failed is a tensor with an error: that of x, or err.
func (t *Tensor) failed(what string, err error) *Tensor {
	t = t.orZero()
	if t.err != nil {
		err = t.err
	}
	return t.g.fail(what, []*Tensor{t}, err)
}

// Tile repeats x as a whole reps[d] times along each axis d.
func Tile(x *Tensor, reps ...int) *Tensor {
	if x.Err() != nil || len(reps) != len(x.spec.Shape) {
		return x.failed("tile", fmt.Errorf("%w: %v repetitions of %v", ErrShape, reps, x.Shape()))
	}
	for d, n := range reps {
		if n < 0 || n > plan.MaxDimSize {
			return x.failed("tile", fmt.Errorf("%w: %d repetitions along axis %d", ErrShape, n, d))
		}
		if n == 1 {
			continue
		}
		shape := x.spec.Shape
		outer, inner := shape[:d].Elements(), shape[d:].Elements()
		tiled := slices.Clone(shape)
		tiled[d] = shape[d].Scale(n)
		x = Expand(Reshape(x, outer, 1, inner), outer, n, inner)
		if x = Apply(op.Reshape{Shape: tiled}, x); x.Err() != nil {
			return x
		}
	}
	return Identity(x)
}

// OneHot is on where the last axis, of depth positions, has the position that an
// i32 or i64 index says, and off elsewhere: [...] gives [..., depth]. A negative
// index counts from the end; with one outside of -depth to depth-1 all are off.
func OneHot(index *Tensor, depth int, on, off float32) *Tensor {
	if index.Err() != nil {
		return index.failed("one_hot", nil)
	}
	g, t := index.g, index.DType()
	if !t.IsInt() || depth < 0 || depth > plan.MaxDimSize {
		return index.failed("one_hot", fmt.Errorf("%w: index of %v, depth %d", ErrDType, t, depth))
	}
	at := Apply(op.Reshape{Shape: append(slices.Clone(index.spec.Shape), plan.C(1))}, index)
	positions := g.Range(t, 0, 1, depth)
	fromEnd := g.Range(t, -depth, 1, depth)
	hot := Or(Equal(at, positions), Equal(at, fromEnd))
	return Where(hot, g.Const([]float32{on}, 1), g.Const([]float32{off}, 1))
}

// ArgMin is the index (i32) of the first smallest element along an axis, which
// is dropped. NaN is never the smallest.
func ArgMin(x *Tensor, axis int) *Tensor { return Apply(op.ArgMin{Axis: axis}, x) }

// Min is the smallest element over axes, all if none is given; they are dropped.
func Min(x *Tensor, axes ...int) *Tensor { return reduce("min", x, axes) }

// Prod multiplies over axes, all if none is given; they are dropped.
func Prod(x *Tensor, axes ...int) *Tensor { return reduce("prod", x, axes) }

// Keep is a reduction such as [Sum], [Mean], [Max], [Min] or [Prod], whose axes
// stay with size one.
func Keep(f func(x *Tensor, axes ...int) *Tensor, x *Tensor, axes ...int) *Tensor {
	y := f(x, axes...)
	o, ok := y.Op().(op.Reduce)
	if !ok {
		return y
	}
	shape := slices.Clone(x.spec.Shape)
	for _, a := range o.Axes {
		if a < 0 {
			a += len(shape)
		}
		shape[a] = plan.C(1)
	}
	return Apply(op.Reshape{Shape: shape}, y)
}
