package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Arith is an elementwise binary operator with NumPy broadcasting over f32
// inputs: add, sub, mul or div.
type Arith struct {
	name string
	f    func(a, b float32) float32
}

// Add is a + b.
func Add() Arith { return Arith{"add", func(a, b float32) float32 { return a + b }} }

// Sub is a - b.
func Sub() Arith { return Arith{"sub", func(a, b float32) float32 { return a - b }} }

// Mul is a * b.
func Mul() Arith { return Arith{"mul", func(a, b float32) float32 { return a * b }} }

// Div is a / b.
func Div() Arith { return Arith{"div", func(a, b float32) float32 { return a / b }} }

// Name is add, sub, mul or div.
func (o Arith) Name() string { return o.name }

// Traits are those of elementwise arithmetic.
func (o Arith) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: o.name == "add" || o.name == "mul"}
}

// Attrs has none.
func (Arith) Attrs() plan.Attrs { return nil }

// Infer broadcasts the two shapes.
func (Arith) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if err := wantF32(in...); err != nil {
		return plan.Spec{}, err
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return plan.Spec{DType: plan.F32, Shape: s}, err
}

// FLOPs is one per output element.
func (Arith) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (o Arith) Eval(out *Array, in []*Array, h halt.Func) error {
	y, a, b := out.F32(), in[0].F32(), in[1].F32()
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) { y[p[0]] = o.f(a[p[1]], b[p[2]]) },
		out.Strides, in[0].BroadcastStrides(out.Shape), in[1].BroadcastStrides(out.Shape))
}
