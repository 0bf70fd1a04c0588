package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// named are the kernels by the name that package kernelchoice, which chooses
// them, gives them: one line each. An operator that it gives no kernel runs its
// reference, and so do operands that the kernel does not fit.
var named = map[string]kernel{
	"append":       runAppend,
	"argmax":       runArgMax,
	"attention":    runAttention,
	"batch_norm":   runBatchNorm,
	"batched_gemm": runMatMul,
	"causal_mask":  runCausalMask,
	"concat":       runConcat,
	"conv":         runConv,
	"copy":         runCopy,
	"embedding":    runEmbedding,
	"gemm":         runLinear,
	"image_mean":   runImageMean,
	"layer_norm":   runLayerNorm,
	"log_softmax":  runLogSoftmax,
	"max_pool":     runMaxPool,
	pointwiseName:  runPointwise,
	"reshape":      runReshape,
	"rms_norm":     runRMSNorm,
	"rope":         runRoPE,
	"sample":       runSample,
	"softmax":      runSoftmax,
	"topk":         runTopK,
}

// pointwiseName is the name of the kernel of pointwise operators.
const pointwiseName = "pointwise"

// chosen is the kernel of a group, and what it computes; a kernel that does not
// fit its operands leaves the group to the reference.
type chosen struct {
	name string
	run  kernel
	fits kernelchoice.Fits // nil if it computes everything
}

func (d *Device) chosenFor(g *program.Group, ops []op.Op) chosen {
	c := kernelchoice.Of(g, ops)
	k, ok := named[c.Kernel]
	if !ok || d.opts.Reference {
		return chosen{name: kernelchoice.Reference, run: runReference}
	}
	return chosen{c.Kernel, k, c.Fits}
}

// compute computes a group with the kernel chosen for it. A kernel that does not
// fit everything is not called for an output without elements.
func (c *chosen) compute(s *step) error {
	s.reference = false
	if c.fits == nil {
		return c.run(s)
	}
	if s.out.Len() == 0 {
		return nil
	}
	if !c.fits(s.op, s.in, s.out) {
		return runReference(s)
	}
	return c.run(s)
}

// Kernel implements [device.Run].
func (r *run) Kernel(i int) string {
	if r.steps[i].reference {
		return kernelchoice.Reference
	}
	return r.code.kernels[i].name
}

// Capabilities implements [device.Device].
func (*Device) Capabilities() device.Capabilities {
	return device.Capabilities{Convolution: hasConvolution, Pointwise: kernelchoice.Pointwise}
}
