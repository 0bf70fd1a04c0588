package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Bias adds a vector [n] to the last axis of x [..., n].
type Bias struct{}

// Name is bias.
func (Bias) Name() string { return "bias" }

// Attrs has none.
func (Bias) Attrs() plan.Attrs { return nil }

// Infer keeps the shape of x.
func (Bias) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	x, b := in[0].Shape, in[1].Shape
	if len(b) != 1 || len(x) < 1 || !x[len(x)-1].Equal(b[0]) {
		return plan.Spec{}, shapeErr("bias %v for %v, wants one dimension, the last", b, x)
	}
	return in[0], wantF32(in...)
}

// FLOPs is one per element.
func (Bias) FLOPs(_ [][]int, out []int) float64 { return fproduct(out) }

// Eval is the reference kernel.
func (Bias) Eval(out *Array, in []*Array, h halt.Func) error { return Add().Eval(out, in, h) }
