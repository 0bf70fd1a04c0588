package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// SiLU is x*sigmoid(x), the sigmoid linear unit (Hendrycks and Gimpel, 2016; Elfwing
// et al., 2017), which is also called swish.
type SiLU struct{}

// Name is silu.
func (SiLU) Name() string { return "silu" }

// Traits are those of an activation.
func (SiLU) Traits() Traits { return activation() }

// Attrs has none.
func (SiLU) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (SiLU) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is four per element.
func (SiLU) FLOPs(_ [][]int, out []int) float64 { return 4 * fproduct(out) }

// Eval is the reference kernel.
func (SiLU) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalUnary(out, in, h, func(x float64) float64 { return x / (1 + math.Exp(-x)) })
}
