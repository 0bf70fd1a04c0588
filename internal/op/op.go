// Package op holds the operators: one file each, with the attributes as
// fields, the shape and dtype rule, the cost rule, the wire form and a plain
// reference kernel. The explicit table in table.go is the only registry.
package op

import (
	"fmt"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Op is an operator with its attributes. Values of Op are immutable.
type Op interface {
	// Name is the operator's name in plans.
	Name() string
	// Attrs are the attributes; Name and Attrs together are the identity of
	// an operator, without loss.
	Attrs() plan.Attrs
	// Traits are what others want to know of the operator.
	Traits() Traits
	// Infer checks the inputs and gives the output, symbolic dimensions
	// included.
	Infer(in []plan.Spec) (plan.Spec, error)
	// FLOPs is the arithmetic of one evaluation at concrete shapes; a
	// transcendental function counts as one.
	FLOPs(in [][]int, out []int) float64
	// Eval is the reference kernel. It accepts any strides and writes every
	// element of out, which is contiguous. Inputs have been checked by Infer.
	// When h says stop it is [ErrHalted] and out is undefined.
	Eval(out *Array, in []*Array, h halt.Func) error
}

// Viewer is implemented by operators that only give their first input another
// layout and move no data.
type Viewer interface {
	// View is the output's layout over the input's memory, or false when the
	// input's layout cannot be seen that way without a copy.
	View(in plan.Spec, l Layout, out plan.Spec) (Layout, bool)
}

// Conditional is implemented by operators that want more of sizes than that they
// are sizes.
type Conditional interface {
	// Conditions are dimensions that must not be negative once the symbols of
	// the first input's shape are bound, and what does not hold where one is.
	Conditions(in plan.Shape) (dims plan.Shape, what string)
}

// some is the condition that an axis has elements.
func some(d plan.Dim) plan.Dim { return d.Sub(plan.C(1)) }

func arity(in []plan.Spec, lo, hi int) error {
	if len(in) < lo || len(in) > hi {
		if lo == hi {
			return fmt.Errorf("%w: %d inputs, wants %d", plan.ErrInvalid, len(in), lo)
		}
		return fmt.Errorf("%w: %d inputs, wants %d to %d", plan.ErrInvalid, len(in), lo, hi)
	}
	return nil
}

func shapeErr(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrShape}, args...)...)
}

func dtypeErr(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrDType}, args...)...)
}

func wantF32(in ...plan.Spec) error {
	for i, s := range in {
		if s.DType != plan.F32 {
			return dtypeErr("input %d is %v, wants f32", i, s.DType)
		}
	}
	return nil
}

func normAxis(axis, rank int) (int, error) {
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank {
		return 0, shapeErr("axis %d of rank %d", axis, rank)
	}
	return axis, nil
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func fproduct(shape []int) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}
