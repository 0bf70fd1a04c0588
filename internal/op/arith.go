package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Arith is an elementwise binary operator with NumPy broadcasting over two
// inputs of one type, f32, i32 or i64: add, sub, mul or div.
//
// Floats follow IEEE 754. Integers wrap; their quotient is truncated towards
// zero, and that by zero is 0, as in NumPy.
type Arith struct{ name string }

// Add is a + b.
func Add() Arith { return Arith{"add"} }

// Sub is a - b.
func Sub() Arith { return Arith{"sub"} }

// Mul is a * b.
func Mul() Arith { return Arith{"mul"} }

// Div is a / b.
func Div() Arith { return Arith{"div"} }

// Name is add, sub, mul or div.
func (o Arith) Name() string { return o.name }

// Traits are those of elementwise arithmetic.
func (o Arith) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: o.name == "add" || o.name == "mul"}
}

// Attrs has none.
func (Arith) Attrs() plan.Attrs { return nil }

// Infer broadcasts the two shapes.
func (Arith) Infer(in []plan.Spec) (plan.Spec, error) { return inferNumbers(in) }

// FLOPs is one per output element.
func (Arith) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Arith) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalBinary(out, in, h, o.numbers())
}

func (o Arith) numbers() numbers {
	switch o.name {
	case "add":
		return numbers{func(a, b float32) float32 { return a + b }, func(a, b int64) int64 { return a + b }}
	case "sub":
		return numbers{func(a, b float32) float32 { return a - b }, func(a, b int64) int64 { return a - b }}
	case "mul":
		return numbers{func(a, b float32) float32 { return a * b }, func(a, b int64) int64 { return a * b }}
	}
	return numbers{func(a, b float32) float32 { return a / b }, quotient}
}

// numbers are the functions of a binary operator, on floats and on integers.
// Those on integers of 32 bits compute in 64 bits and keep the low 32.
type numbers struct {
	floats func(a, b float32) float32
	ints   func(a, b int64) int64 // nil for none
}

// inferNumbers broadcasts two inputs of one type, f32, i32 or i64.
func inferNumbers(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if d := in[0].DType; d != in[1].DType || d != plan.F32 && !d.IsInt() {
		return plan.Spec{}, dtypeErr("%v and %v, want two of one type, f32, i32 or i64", in[0].DType, in[1].DType)
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return plan.Spec{DType: in[0].DType, Shape: s}, err
}

func evalBinary(out *Array, in []*Array, h halt.Func, f numbers) error {
	a, b := in[0], in[1]
	var at func(p []int)
	switch out.DType {
	case plan.F32:
		y, x, z := out.F32(), a.F32(), b.F32()
		at = func(p []int) { y[p[0]] = f.floats(x[p[1]], z[p[2]]) }
	case plan.I32:
		y, x, z := out.I32(), a.I32(), b.I32()
		at = func(p []int) { y[p[0]] = int32(f.ints(int64(x[p[1]]), int64(z[p[2]]))) }
	default:
		y, x, z := out.I64(), a.I64(), b.I64()
		at = func(p []int) { y[p[0]] = f.ints(x[p[1]], z[p[2]]) }
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, at, out.Strides, a.BroadcastStrides(out.Shape), b.BroadcastStrides(out.Shape))
}

// quotient is a/b, truncated; 0 if b is 0.
func quotient(a, b int64) int64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// Binary is another elementwise binary operator with NumPy broadcasting: min
// and max, of two inputs of one type, f32, i32 or i64; and pow, of f32. A float
// minimum or maximum of NaN and anything is NaN. A power follows C's pow: x to
// the power 0 is 1 for every x, and that of a negative number with an exponent
// that is not an integer is NaN.
type Binary struct{ name string }

// Min is the smaller of a and b.
func Min() Binary { return Binary{"min"} }

// Max is the larger of a and b.
func Max() Binary { return Binary{"max"} }

// Pow is a to the power b.
func Pow() Binary { return Binary{"pow"} }

// Name is min, max or pow.
func (o Binary) Name() string { return o.name }

// Traits are those of elementwise arithmetic.
func (o Binary) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: o.name != "pow"}
}

// Attrs has none.
func (Binary) Attrs() plan.Attrs { return nil }

// Infer broadcasts the two shapes.
func (o Binary) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferNumbers(in)
	if err == nil && o.name == "pow" {
		err = wantF32(in...)
	}
	return s, err
}

// FLOPs is one per output element.
func (Binary) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Binary) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalBinary(out, in, h, o.numbers())
}

func (o Binary) numbers() numbers {
	switch o.name {
	case "min":
		return numbers{func(a, b float32) float32 { return min(a, b) }, func(a, b int64) int64 { return min(a, b) }}
	case "max":
		return numbers{func(a, b float32) float32 { return max(a, b) }, func(a, b int64) int64 { return max(a, b) }}
	}
	return numbers{floats: func(a, b float32) float32 { return float32(math.Pow(float64(a), float64(b))) }}
}

// Mod is the remainder of a / b, of two inputs of one type, f32, i32 or i64,
// that broadcast. It has the sign of b, as in Python, or with Fmod that of a, as
// C's fmod. The remainder by zero is NaN of floats and 0 of integers.
type Mod struct{ Fmod bool }

// Name is mod.
func (Mod) Name() string { return "mod" }

// Traits are those of elementwise arithmetic.
func (Mod) Traits() Traits { return Traits{Class: ClassElementwise, Pointwise: true} }

// Attrs says whose sign the remainder has.
func (o Mod) Attrs() plan.Attrs { return plan.Attrs{plan.BoolAttr("fmod", o.Fmod)} }

func decodeMod(r *plan.AttrReader) Op { return Mod{r.Bool("fmod")} }

// Infer broadcasts the two shapes.
func (Mod) Infer(in []plan.Spec) (plan.Spec, error) { return inferNumbers(in) }

// FLOPs is one per output element.
func (Mod) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Mod) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalBinary(out, in, h, numbers{
		func(a, b float32) float32 {
			r := math.Mod(float64(a), float64(b))
			if !o.Fmod && r != 0 && (r < 0) != (b < 0) {
				r += float64(b)
			}
			return float32(r)
		},
		func(a, b int64) int64 {
			if b == 0 {
				return 0
			}
			r := a % b
			if !o.Fmod && r != 0 && (r < 0) != (b < 0) {
				r += b
			}
			return r
		},
	})
}
