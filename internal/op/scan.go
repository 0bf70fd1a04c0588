package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// CumSum is the sum of all elements up to each one along an axis, of f32, i32
// or i64: without the element itself if Exclusive, and from the end if Reverse.
// Floats are summed in float64. Integers wrap.
type CumSum struct {
	Axis               int
	Exclusive, Reverse bool
}

// Name is cumsum.
func (CumSum) Name() string { return "cumsum" }

// Traits are those of a reduction that keeps its axis.
func (CumSum) Traits() Traits { return Traits{Class: ClassReduce} }

// Attrs are the axis and the order.
func (o CumSum) Attrs() plan.Attrs {
	return plan.Attrs{plan.Int("axis", o.Axis), plan.BoolAttr("exclusive", o.Exclusive), plan.BoolAttr("reverse", o.Reverse)}
}

func decodeCumSum(r *plan.AttrReader) Op {
	return CumSum{Axis: r.Int("axis"), Exclusive: r.Bool("exclusive"), Reverse: r.Bool("reverse")}
}

// Infer keeps the type and the shape.
func (o CumSum) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	if t := in[0].DType; t != plan.F32 && !t.IsInt() {
		return plan.Spec{}, dtypeErr("cumulative sum of %v", t)
	}
	_, err := normAxis(o.Axis, len(in[0].Shape))
	return in[0], err
}

// Rows are those of the input, along any axis but its own.
func (o CumSum) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	axis, err := normAxis(o.Axis, len(out.Shape))
	return firstRows(in, s), o, err == nil && s.Axis != axis
}

// FLOPs is one per element.
func (CumSum) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o CumSum) Eval(out *Array, in []*Array, h halt.Func) error {
	x := in[0]
	axis, err := normAxis(o.Axis, len(out.Shape))
	if err != nil {
		return err
	}
	n, sy, sx := out.Shape[axis], out.Strides[axis], x.Strides[axis]
	ask := h.Counter()
	return rows(out.Shape, axis, &ask, func(p []int) {
		var sum float64
		var whole int
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			if o.Reverse {
				i = n - 1 - i
			}
			y, v := p[0]+i*sy, p[1]+i*sx
			if out.DType == plan.F32 {
				before := sum
				if sum += float64(x.F32()[v]); o.Exclusive {
					out.F32()[y] = float32(before)
				} else {
					out.F32()[y] = float32(sum)
				}
				continue
			}
			before := whole
			if whole += x.Int(v); o.Exclusive {
				out.SetInt(y, before)
			} else {
				out.SetInt(y, whole)
			}
		}
	}, out.Strides, x.Strides)
}

// TriLU is the upper or the lower triangle of each matrix [..., r, c], of any
// type: elements outside of it are zero. K moves the diagonal to the right.
type TriLU struct {
	Upper bool
	K     int
}

// Name is trilu.
func (TriLU) Name() string { return "trilu" }

// Traits are those of position-dependent elementwise work.
func (TriLU) Traits() Traits { return Traits{Class: ClassElementwise, Aligned: true} }

// Attrs are the diagonal and the side.
func (o TriLU) Attrs() plan.Attrs {
	return plan.Attrs{plan.Int("k", o.K), plan.BoolAttr("upper", o.Upper)}
}

func decodeTriLU(r *plan.AttrReader) Op { return TriLU{K: r.Int("k"), Upper: r.Bool("upper")} }

// Infer keeps the type and the shape.
func (o TriLU) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	if len(in[0].Shape) < 2 || o.K > plan.MaxDimSize || o.K < -plan.MaxDimSize {
		return plan.Spec{}, shapeErr("triangle of %v from diagonal %d", in[0].Shape, o.K)
	}
	return in[0], nil
}

// Rows are those of the axes before the matrices'.
func (o TriLU) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, s.Axis < len(out.Shape)-2
}

// FLOPs is none: elements are only selected.
func (TriLU) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o TriLU) Eval(out *Array, in []*Array, h halt.Func) error {
	x, size, rank := in[0], out.DType.Size(), len(out.Shape)
	idx := make([]int, rank)
	zero := make([]byte, size)
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		from := x.Data[p[1]*size : p[1]*size+size]
		if d := idx[rank-1] - idx[rank-2] - o.K; o.Upper && d < 0 || !o.Upper && d > 0 {
			from = zero
		}
		copy(out.Data[p[0]*size:p[0]*size+size], from)
		next(idx, out.Shape)
	}, out.Strides, x.Strides)
}

// Range is the numbers Start, Start+Step, and so on, Length of them, of f32, i32
// or i64. It has no inputs. Integers wrap.
type Range struct {
	DType       plan.DType
	Length      plan.Dim
	Start, Step int
}

// Name is range.
func (Range) Name() string { return "range" }

// Traits are those of elementwise work.
func (Range) Traits() Traits { return Traits{Class: ClassElementwise} }

// Attrs are the type, the length, the first number and the step.
func (o Range) Attrs() plan.Attrs {
	return plan.Attrs{plan.Str("dtype", o.DType.String()), plan.Dims("length", o.Length), plan.Int("start", o.Start), plan.Int("step", o.Step)}
}

func decodeRange(r *plan.AttrReader) Op {
	t, _ := plan.ParseDType(r.Str("dtype")) // one that is none is not stored as the plan says it
	return Range{DType: t, Length: r.Dim("length"), Start: r.Int("start"), Step: r.Int("step")}
}

// Infer gives one axis.
func (o Range) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 0, 0); err != nil {
		return plan.Spec{}, err
	}
	if o.DType != plan.F32 && !o.DType.IsInt() {
		return plan.Spec{}, dtypeErr("range of %v, want f32, i32 or i64", o.DType)
	}
	if n, ok := o.Length.Const(); ok && (n < 0 || n > plan.MaxDimSize) {
		return plan.Spec{}, shapeErr("range of %d numbers", n)
	}
	if err := o.Length.Err(); err != nil {
		return plan.Spec{}, shapeErr("the length of a range: %w", err)
	}
	return plan.Spec{DType: o.DType, Shape: plan.Shape{o.Length}}, nil
}

// FLOPs is one per number.
func (Range) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Range) Eval(out *Array, _ []*Array, h halt.Func) error {
	i := 0
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		if v := o.Start + i*o.Step; out.DType == plan.F32 {
			out.F32()[p[0]] = float32(v)
		} else {
			out.SetInt(p[0], v)
		}
		i++
	}, out.Strides)
}

// bound replaces the symbols of the length.
func (o Range) bound(b plan.Bindings) (Op, error) {
	n, err := o.Length.Eval(b)
	o.Length = plan.C(n)
	return o, err
}
