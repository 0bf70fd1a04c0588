package kernelchoice

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// Lacking begins the name of what computes a group that a device lacks and that
// runs on the CPU beside it. The name of the CPU's kernel follows.
const Lacking = "cpu (lacking)"

// cudaLacks are the operators without a kernel in internal/device/cuda.
var cudaLacks = map[string]bool{
	"conv2d": true,
	"abs":    true, "neg": true, "sign": true, "reciprocal": true, "rsqrt": true, "log": true, "log1p": true, "expm1": true, "sin": true, "cos": true, "tan": true, "asin": true, "acos": true, "atan": true,
	"sinh": true, "cosh": true, "asinh": true, "acosh": true, "atanh": true, "erf": true, "sigmoid": true, "softplus": true, "floor": true, "ceil": true, "round": true, "clip": true,
	"argmin": true, "gather": true, "gather_elements": true, "gather_nd": true, "scatter_elements": true, "scatter_nd": true, "pad": true, "cumsum": true, "trilu": true, "range": true,
	"min": true, "max": true, "pow": true, "mod": true, "less": true, "less_equal": true, "greater": true, "greater_equal": true, "and": true, "or": true, "xor": true, "not": true, "is_nan": true, "is_inf": true,
}

// OnCUDA is the kernel of a group on a CUDA device, and ok is false for a group
// that it lacks.
func OnCUDA(g *program.Group, ops []op.Op) (kernel string, ok bool) {
	for _, k := range g.Steps {
		if cudaLacks[ops[k].Name()] {
			return "", false
		}
	}
	c := Of(g, ops)
	if c.Kernel == Reference { // the CPU has none
		return ops[g.Steps[0]].Name(), true
	}
	return c.Kernel, true
}
