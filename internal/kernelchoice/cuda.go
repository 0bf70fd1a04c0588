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
