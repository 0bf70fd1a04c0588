package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Bias adds a vector [n] to the last axis of x [..., n].
type Bias struct{}

// Name is bias.
func (Bias) Name() string { return "bias" }

// Traits are those of elementwise arithmetic.
func (Bias) Traits() Traits { return Traits{Class: ClassElementwise, Pointwise: true} }

// Attrs has none.
func (Bias) Attrs() plan.Attrs { return nil }

// Infer keeps the shape of x.
func (Bias) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	x, b := in[0].Shape, in[1].Shape
	if len(b) != 1 || len(x) < 1 || !x[len(x)-1].Equal(b[0]) {
		return plan.Spec{}, shapeErr("bias %v for %v, want one dimension, the last", b, x)
	}
	return in[0], wantF32(in...)
}

// Rows are those of x; the last axis must stay whole for the vector.
func (o Bias) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, s.Axis < len(out.Shape)-1
}

// FLOPs is one per element.
func (Bias) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (Bias) Eval(out *Array, in []*Array, h halt.Func) error { return Add().Eval(out, in, h) }
