// Package op defines the operators: one file each, with the attributes as
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
	// Attrs are the attributes. Name and Attrs together are the complete
	// identity of an operator.
	Attrs() plan.Attrs
	// Traits are the properties that other packages need.
	Traits() Traits
	// Infer checks the inputs and computes the output, including symbolic
	// dimensions.
	Infer(in []plan.Spec) (plan.Spec, error)
	// FLOPs is the arithmetic of one evaluation at concrete shapes; a
	// transcendental function counts as one.
	FLOPs(in [][]int, out []int) float64
	// Eval is the reference kernel. It accepts any strides and writes every
	// element of out, which is contiguous. Infer has checked the inputs. When h
	// says stop, Eval returns [ErrHalted] and out is undefined.
	Eval(out *Array, in []*Array, h halt.Func) error
}

// Viewer is implemented by operators that only change the layout of their first
// input and move no data.
type Viewer interface {
	// View is the output's layout over the input's memory, or false when the
	// input's layout does not allow that without a copy.
	View(in plan.Spec, l Layout, out plan.Spec) (Layout, bool)
}

// Conditional is implemented by operators with additional conditions on sizes.
type Conditional interface {
	// Conditions are dimensions that must not be negative once the symbols of
	// the inputs' shapes are bound, and a description of what fails when one is
	// negative.
	Conditions(in []plan.Spec) (dims plan.Shape, what string)
}

// some is the condition that an axis has elements.
func some(d plan.Dim) plan.Dim { return d.Sub(plan.C(1)) }

func arity(in []plan.Spec, lo, hi int) error {
	if len(in) < lo || len(in) > hi {
		if lo == hi {
			return fmt.Errorf("%w: %d inputs, want %d", plan.ErrInvalid, len(in), lo)
		}
		return fmt.Errorf("%w: %d inputs, want %d to %d", plan.ErrInvalid, len(in), lo, hi)
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
			return dtypeErr("input %d is %v, want f32", i, s.DType)
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
