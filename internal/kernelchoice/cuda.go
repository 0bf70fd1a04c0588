package kernelchoice

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// Lacking begins the name of what computes a group that a device lacks and that
// runs on the CPU beside it. The name of the CPU's kernel follows.
const Lacking = "cpu (lacking)"

// CUDALacks reports whether internal/device/cuda has no kernel for an operator of
// these inputs, of floats if in is empty. An operator of any type has its name in
// cudaOperators, and one of floats alone in cudaPointwise: its code.
func CUDALacks(o op.Op, in []plan.Spec) bool {
	floats := !slices.ContainsFunc(in, func(s plan.Spec) bool { return s.DType != plan.F32 })
	if cudaPointwise[o.Name()] {
		return !floats
	}
	switch o := o.(type) {
	case op.Equal:
		return slices.ContainsFunc(in, func(s plan.Spec) bool { return s.DType == plan.Bool })
	case op.ArgMax:
		return !floats
	case op.MaxPool2D:
		return !o.Plain()
	case op.Reduce:
		return !floats || o.Kind != "sum" && o.Kind != "mean" && o.Kind != "max"
	}
	return !cudaOperators[o.Name()]
}

// OnCUDA is the kernel of group i of a program on a CUDA device, and ok is false
// for a group that it lacks.
func OnCUDA(p *program.Program, i int) (kernel string, ok bool) {
	g := &p.Groups[i]
	for _, k := range g.Steps {
		if !p.Res.View[k] && CUDALacks(p.Res.Ops[k], p.Inputs(k)) {
			return "", false
		}
	}
	if c, ok := groups[g.Kind]; ok {
		return c.Kernel, true
	}
	o := p.Res.Ops[g.Steps[0]]
	if cudaPointwise[o.Name()] {
		return pointwiseKernel, true
	}
	return o.Name(), true
}

var (
	cudaPointwise = set("relu", "gelu", "silu", "quick_gelu", "tanh", "exp", "sqrt", "add", "bias", "sub", "mul", "div")
	cudaOperators = set(
		"append", "argmax", "attention", "batch_norm", "cast", "causal_mask", "concat", "contiguous", "embedding", "equal", "expand", "identity",
		"layer_norm", "log_softmax", "matmul", "max_pool2d", "pick", "reduce", "reshape", "rms_norm", "rope", "sample", "slice", "softmax", "topk", "transpose", "where",
		"write_rows",
	)
)

func set(names ...string) map[string]bool {
	out := map[string]bool{}
	for _, n := range names {
		out[n] = true
	}
	return out
}
