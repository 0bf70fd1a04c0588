package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Exp is e^x.
type Exp struct{}

// Name is exp.
func (Exp) Name() string { return "exp" }

// Traits are those of an activation.
func (Exp) Traits() Traits { return activation() }

// Attrs has none.
func (Exp) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (Exp) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is one per element.
func (Exp) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (Exp) Eval(out *Array, in []*Array, h halt.Func) error { return evalUnary(out, in, h, math.Exp) }

// Sqrt is the square root, NaN for negative numbers.
type Sqrt struct{}

// Name is sqrt.
func (Sqrt) Name() string { return "sqrt" }

// Traits are those of an activation.
func (Sqrt) Traits() Traits { return activation() }

// Attrs has none.
func (Sqrt) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (Sqrt) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is one per element.
func (Sqrt) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (Sqrt) Eval(out *Array, in []*Array, h halt.Func) error { return evalUnary(out, in, h, math.Sqrt) }
