package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

func inferSame(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	return in[0], wantF32(in...)
}

func evalUnary(out *Array, in []*Array, h halt.Func, f func(float64) float64) error {
	y, x := out.F32(), in[0].F32()
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) { y[p[0]] = float32(f(float64(x[p[1]]))) }, out.Strides, in[0].Strides)
}

// ReLU is max(x, 0); NaN stays NaN.
type ReLU struct{}

// Name is relu.
func (ReLU) Name() string { return "relu" }

// Traits are those of an activation.
func (ReLU) Traits() Traits { return activation() }

// Attrs has none.
func (ReLU) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (ReLU) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is one per element.
func (ReLU) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (ReLU) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalUnary(out, in, h, func(x float64) float64 { return math.Max(x, 0) })
}

// Tanh is the hyperbolic tangent.
type Tanh struct{}

// Name is tanh.
func (Tanh) Name() string { return "tanh" }

// Traits are those of an activation.
func (Tanh) Traits() Traits { return activation() }

// Attrs has none.
func (Tanh) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (Tanh) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is one per element.
func (Tanh) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (Tanh) Eval(out *Array, in []*Array, h halt.Func) error { return evalUnary(out, in, h, math.Tanh) }

// GELU is the Gaussian error linear unit (Hendrycks and Gimpel, 2016): exact,
// x*Phi(x), or with the tanh approximation that GPT-2 uses ("gelu_new").
type GELU struct{ Tanh bool }

// Name is gelu.
func (GELU) Name() string { return "gelu" }

// Traits are those of an activation.
func (GELU) Traits() Traits { return activation() }

// Attrs says which form.
func (o GELU) Attrs() plan.Attrs { return plan.Attrs{plan.BoolAttr("tanh", o.Tanh)} }

func decodeGELU(r *plan.AttrReader) Op { return GELU{r.Bool("tanh")} }

// Infer keeps the shape.
func (GELU) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is eight per element.
func (GELU) FLOPs(_ [][]int, out []int) float64 { return 8 * fproduct(out) }

// Eval is the reference kernel.
func (o GELU) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalUnary(out, in, h, func(x float64) float64 {
		if o.Tanh {
			return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}
		return 0.5 * x * (1 + math.Erf(x/math.Sqrt2))
	})
}

// Cast changes the element type: f32, i32 and i64 to each other, bool to and
// from each of them (non-zero is true). A float is truncated towards zero.
// Outside the range of the index type it becomes the nearest index, and NaN
// becomes 0, on every CPU. An i64 outside the range of i32 keeps its low 32
// bits.
type Cast struct{ To plan.DType }

// Name is cast.
func (Cast) Name() string { return "cast" }

// Traits are those of an elementwise conversion.
func (Cast) Traits() Traits { return Traits{Class: ClassCopy, Pointwise: true} }

// Attrs is the target type.
func (o Cast) Attrs() plan.Attrs { return plan.Attrs{plan.Int("to", int(o.To))} }

func decodeCast(r *plan.AttrReader) Op { return Cast{plan.DType(r.Int("to"))} }

// Infer keeps the shape.
func (o Cast) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	if !o.To.Valid() || o.To == plan.F16 || o.To == plan.BF16 {
		return plan.Spec{}, dtypeErr("cannot cast to %v", o.To)
	}
	return plan.Spec{DType: o.To, Shape: in[0].Shape}, nil
}

// FLOPs is one per element.
func (Cast) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Cast) Eval(out *Array, in []*Array, h halt.Func) error {
	store := o.store(out)
	x := in[0]
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		switch x.DType {
		case plan.F32:
			v := float64(x.F32()[p[1]])
			store(p[0], v, v != 0, func() int { return o.truncate(v) })
		case plan.Bool:
			v := 0
			if x.Data[p[1]] != 0 {
				v = 1
			}
			store(p[0], float64(v), v != 0, func() int { return v })
		default:
			v := x.Int(p[1])
			store(p[0], float64(v), v != 0, func() int { return v })
		}
	}, out.Strides, x.Strides)
}

func (o Cast) store(out *Array) func(at int, f float64, t bool, n func() int) {
	switch o.To {
	case plan.F32:
		y := out.F32()
		return func(at int, f float64, _ bool, _ func() int) { y[at] = float32(f) }
	case plan.Bool:
		return func(at int, _ float64, t bool, _ func() int) {
			out.Data[at] = 0
			if t {
				out.Data[at] = 1
			}
		}
	default:
		return func(at int, _ float64, _ bool, n func() int) { out.SetInt(at, n()) }
	}
}

// truncate converts v to an index without Go's CPU-dependent conversions.
func (o Cast) truncate(v float64) int {
	lo, hi := int64(math.MinInt64), int64(math.MaxInt64)
	if o.To == plan.I32 {
		lo, hi = math.MinInt32, math.MaxInt32
	}
	switch {
	case v != v:
		return 0
	case v <= float64(lo):
		return int(lo)
	case v >= float64(hi):
		return int(hi)
	}
	return int(v)
}

// Contiguous copies its input, of any type, into row-major order.
type Contiguous struct{}

// Name is contiguous.
func (Contiguous) Name() string { return "contiguous" }

// Traits are those of a copy.
func (Contiguous) Traits() Traits {
	return Traits{Class: ClassCopy, Moves: true, Aligned: true}
}

// Attrs has none.
func (Contiguous) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (Contiguous) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	return in[0], nil
}

// Rows are those of the input.
func (o Contiguous) Rows(in []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, true
}

// FLOPs is none.
func (Contiguous) FLOPs([][]int, []int) float64 { return 0 }

// Eval copies.
func (Contiguous) Eval(out *Array, in []*Array, h halt.Func) error {
	return copyArray(out, in[0], h)
}
