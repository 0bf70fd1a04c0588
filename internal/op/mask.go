package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// MaskValue replaces masked scores: the lowest finite float32, so that a fully
// masked row stays finite after softmax.
const MaskValue = -math.MaxFloat32

// CausalMask masks attention scores [batch, ..., q, k]: query i has key
// position k-q+i and attends to the keys from start to its own position; with a
// Window, only to the last Window of these. start is an optional second input,
// i32 or i64 [batch]: the number of padding keys before each sequence.
type CausalMask struct{ Window int }

// Name is causal_mask.
func (CausalMask) Name() string { return "causal_mask" }

// Traits are those of position-dependent elementwise work.
func (CausalMask) Traits() Traits { return Traits{Class: ClassElementwise, Aligned: true} }

// Attrs is the window, 0 for none.
func (o CausalMask) Attrs() plan.Attrs { return plan.Attrs{plan.Int("window", o.Window)} }

func decodeCausalMask(r *plan.AttrReader) Op { return CausalMask{r.Int("window")} }

// Infer keeps the shape of the scores.
func (o CausalMask) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 2); err != nil {
		return plan.Spec{}, err
	}
	s := in[0].Shape
	if len(s) < 2 || o.Window < 0 {
		return plan.Spec{}, shapeErr("causal mask of %v, want scores [..., q, k]", s)
	}
	if len(in) == 2 {
		if !in[1].DType.IsInt() {
			return plan.Spec{}, dtypeErr("causal mask start is %v, want i32 or i64", in[1].DType)
		}
		if len(in[1].Shape) != 1 || len(s) < 3 || !in[1].Shape[0].Equal(s[0]) {
			return plan.Spec{}, shapeErr("causal mask start %v for scores %v, want [batch]", in[1].Shape, s)
		}
	}
	return in[0], wantF32(in[0])
}

// Rows are the last ones of the queries: their positions are counted from the
// end, so a tail of the queries gets the same mask.
func (o CausalMask) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	queries := len(out.Shape) - 2
	return firstRows(in, s), o, s.Axis == queries && s.Stop.Equal(out.Shape[queries])
}

// FLOPs is none: elements are only selected.
func (CausalMask) FLOPs([][]int, []int) float64 { return 0 }

// Range is the keys that query i of q sees: lo to hi, exclusive.
func (o CausalMask) Range(i, q, k, start int) (lo, hi int) {
	hi = max(k-q+i+1, 0)
	lo = max(start, 0)
	if o.Window > 0 {
		lo = max(lo, hi-o.Window)
	}
	return lo, hi
}

// Eval is the reference kernel.
func (o CausalMask) Eval(out *Array, in []*Array, h halt.Func) error {
	r := len(out.Shape)
	q, k := out.Shape[r-2], out.Shape[r-1]
	y, x := out.F32(), in[0].F32()
	idx := make([]int, r)
	pos := 0
	ask := h.Counter()
	return walk(out.Shape, &ask, r, func(p []int) {
		rem := pos
		for d := r - 1; d >= 0; d-- {
			idx[d] = rem % out.Shape[d]
			rem /= out.Shape[d]
		}
		pos++
		start := 0
		if len(in) == 2 {
			start = in[1].Int(idx[0] * in[1].Strides[0])
		}
		lo, hi := o.Range(idx[r-2], q, k, start)
		y[p[0]] = MaskValue
		if j := idx[r-1]; j >= lo && j < hi {
			y[p[0]] = x[p[1]]
		}
	}, out.Strides, in[0].Strides)
}

// Where selects a where cond (bool) is true and b elsewhere; the three
// broadcast.
type Where struct{}

// Name is where.
func (Where) Name() string { return "where" }

// Traits are those of an elementwise selection.
func (Where) Traits() Traits { return Traits{Class: ClassElementwise, Pointwise: true} }

// Attrs has none.
func (Where) Attrs() plan.Attrs { return nil }

// Infer broadcasts the shapes.
func (Where) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 3, 3); err != nil {
		return plan.Spec{}, err
	}
	if in[0].DType != plan.Bool || in[1].DType != in[2].DType {
		return plan.Spec{}, dtypeErr("where of %v, %v and %v, want bool and two of one type", in[0].DType, in[1].DType, in[2].DType)
	}
	s, err := broadcast(in[1].Shape, in[2].Shape)
	if err == nil {
		s, err = broadcast(in[0].Shape, s)
	}
	return plan.Spec{DType: in[1].DType, Shape: s}, err
}

// FLOPs is none.
func (Where) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (Where) Eval(out *Array, in []*Array, h halt.Func) error {
	n := out.DType.Size()
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		src, off := in[2], p[3]
		if in[0].Data[p[1]] != 0 {
			src, off = in[1], p[2]
		}
		copy(out.Data[p[0]*n:p[0]*n+n], src.Data[off*n:off*n+n])
	}, out.Strides, in[0].BroadcastStrides(out.Shape), in[1].BroadcastStrides(out.Shape), in[2].BroadcastStrides(out.Shape))
}
