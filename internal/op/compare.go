package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Equal reports whether elements are the same. It outputs bool from two inputs
// of one type, f32, i32, i64 or bool, that broadcast. NaN is equal to nothing.
type Equal struct{}

// Name is equal.
func (Equal) Name() string { return "equal" }

// Traits are those of an elementwise comparison.
func (Equal) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: true}
}

// Attrs has none.
func (Equal) Attrs() plan.Attrs { return nil }

// Infer broadcasts the shapes.
func (Equal) Infer(in []plan.Spec) (plan.Spec, error) {
	if len(in) == 2 && in[0].DType == plan.Bool && in[1].DType == plan.Bool {
		return inferLogic(in)
	}
	s, err := inferNumbers(in)
	s.DType = plan.Bool
	return s, err
}

// FLOPs is none: there is no arithmetic on the elements.
func (Equal) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (Equal) Eval(out *Array, in []*Array, h halt.Func) error {
	if in[0].DType == plan.Bool {
		return evalLogic(out, in, h, func(a, b bool) bool { return a == b })
	}
	return evalComparison(out, in, h, func(a, b float32) bool { return a == b }, func(a, b int) bool { return a == b })
}

// Comparison compares elements of two inputs of one type, f32, i32 or i64, that
// broadcast. It outputs bool. A comparison with NaN is false.
type Comparison struct{ name string }

// Less is a < b.
func Less() Comparison { return Comparison{"less"} }

// LessEqual is a <= b.
func LessEqual() Comparison { return Comparison{"less_equal"} }

// Greater is a > b.
func Greater() Comparison { return Comparison{"greater"} }

// GreaterEqual is a >= b.
func GreaterEqual() Comparison { return Comparison{"greater_equal"} }

// Name is less, less_equal, greater or greater_equal.
func (o Comparison) Name() string { return o.name }

// Traits are those of an elementwise comparison.
func (Comparison) Traits() Traits { return Traits{Class: ClassElementwise, Pointwise: true} }

// Attrs has none.
func (Comparison) Attrs() plan.Attrs { return nil }

// Infer broadcasts the shapes.
func (Comparison) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferNumbers(in)
	s.DType = plan.Bool
	return s, err
}

// FLOPs is none: there is no arithmetic on the elements.
func (Comparison) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o Comparison) Eval(out *Array, in []*Array, h halt.Func) error {
	switch o.name {
	case "less":
		return evalComparison(out, in, h, func(a, b float32) bool { return a < b }, func(a, b int) bool { return a < b })
	case "less_equal":
		return evalComparison(out, in, h, func(a, b float32) bool { return a <= b }, func(a, b int) bool { return a <= b })
	case "greater":
		return evalComparison(out, in, h, func(a, b float32) bool { return a > b }, func(a, b int) bool { return a > b })
	}
	return evalComparison(out, in, h, func(a, b float32) bool { return a >= b }, func(a, b int) bool { return a >= b })
}

func evalComparison(out *Array, in []*Array, h halt.Func, floats func(a, b float32) bool, ints func(a, b int) bool) error {
	a, b := in[0], in[1]
	at := func(p []int) { out.SetBool(p[0], ints(a.Int(p[1]), b.Int(p[2]))) }
	if a.DType == plan.F32 {
		x, y := a.F32(), b.F32()
		at = func(p []int) { out.SetBool(p[0], floats(x[p[1]], y[p[2]])) }
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, at, out.Strides, a.BroadcastStrides(out.Shape), b.BroadcastStrides(out.Shape))
}

// Logic is a binary operator on bool inputs that broadcast: and, or, xor. Any byte
// but 0 is true.
type Logic struct{ name string }

// And holds where both do.
func And() Logic { return Logic{"and"} }

// Or holds where one or both do.
func Or() Logic { return Logic{"or"} }

// Xor holds where exactly one does.
func Xor() Logic { return Logic{"xor"} }

// Name is one of and, or, xor.
func (o Logic) Name() string { return o.name }

// Traits are those of an elementwise operator.
func (Logic) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: true}
}

// Attrs has none.
func (Logic) Attrs() plan.Attrs { return nil }

// Infer broadcasts the shapes.
func (Logic) Infer(in []plan.Spec) (plan.Spec, error) { return inferLogic(in) }

// FLOPs is none.
func (Logic) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o Logic) Eval(out *Array, in []*Array, h halt.Func) error {
	switch o.name {
	case "and":
		return evalLogic(out, in, h, func(a, b bool) bool { return a && b })
	case "or":
		return evalLogic(out, in, h, func(a, b bool) bool { return a || b })
	}
	return evalLogic(out, in, h, func(a, b bool) bool { return a != b })
}

func inferLogic(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if in[0].DType != plan.Bool || in[1].DType != plan.Bool {
		return plan.Spec{}, dtypeErr("%v and %v, want two of bool", in[0].DType, in[1].DType)
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return plan.Spec{DType: plan.Bool, Shape: s}, err
}

func evalLogic(out *Array, in []*Array, h halt.Func, f func(a, b bool) bool) error {
	a, b := in[0], in[1]
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) { out.SetBool(p[0], f(a.Data[p[1]] != 0, b.Data[p[2]] != 0)) },
		out.Strides, a.BroadcastStrides(out.Shape), b.BroadcastStrides(out.Shape))
}

// Predicate is a property of each element, as bool: is_nan and is_inf of f32,
// and not of bool.
type Predicate struct{ name string }

// Not holds where x does not.
func Not() Predicate { return Predicate{"not"} }

// IsNaN holds where x is not a number.
func IsNaN() Predicate { return Predicate{"is_nan"} }

// IsInf holds where x is infinite, of either sign.
func IsInf() Predicate { return Predicate{"is_inf"} }

// Name is not, is_nan or is_inf.
func (o Predicate) Name() string { return o.name }

// Traits are those of an elementwise operator.
func (Predicate) Traits() Traits { return Traits{Class: ClassElementwise, Pointwise: true} }

// Attrs has none.
func (Predicate) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (o Predicate) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	want := plan.F32
	if o.name == "not" {
		want = plan.Bool
	}
	if in[0].DType != want {
		return plan.Spec{}, dtypeErr("%v, want %v", in[0].DType, want)
	}
	return plan.Spec{DType: plan.Bool, Shape: in[0].Shape}, nil
}

// FLOPs is none.
func (Predicate) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o Predicate) Eval(out *Array, in []*Array, h halt.Func) error {
	x := in[0].F32()
	at := func(p []int) { out.SetBool(p[0], math.IsInf(float64(x[p[1]]), 0)) }
	switch o.name {
	case "not":
		at = func(p []int) { out.SetBool(p[0], in[0].Data[p[1]] == 0) }
	case "is_nan":
		at = func(p []int) { out.SetBool(p[0], x[p[1]] != x[p[1]]) }
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, at, out.Strides, in[0].Strides)
}
