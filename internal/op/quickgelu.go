package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// QuickGELU is x*sigmoid(1.702*x), the approximation of GELU with which CLIP
// was trained (Hendrycks and Gimpel, 2016, section 2).
type QuickGELU struct{}

// QuickGELUScale is the factor of x inside the sigmoid.
const QuickGELUScale = 1.702

// Name is quick_gelu.
func (QuickGELU) Name() string { return "quick_gelu" }

// Traits are those of an activation.
func (QuickGELU) Traits() Traits { return activation() }

// Attrs has none.
func (QuickGELU) Attrs() plan.Attrs { return nil }

// Infer keeps the shape.
func (QuickGELU) Infer(in []plan.Spec) (plan.Spec, error) { return inferSame(in) }

// FLOPs is four per element.
func (QuickGELU) FLOPs(_ [][]int, out []int) float64 { return 4 * fproduct(out) }

// Eval is the reference kernel.
func (QuickGELU) Eval(out *Array, in []*Array, h halt.Func) error {
	return evalUnary(out, in, h, func(x float64) float64 { return x / (1 + math.Exp(-QuickGELUScale*x)) })
}
