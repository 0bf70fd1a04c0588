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
	padName:           runPad,
	"avg_pool":        runPool,
	"append":          runAppend,
	"argmax":          runArgMax,
	"attention":       runAttention,
	"batch_norm":      inFlat(runBatchNorm),
	"batched_gemm":    runMatrices,
	"causal_mask":     inPlace(runCausalMask),
	"concat":          runConcat,
	"conv":            runConv,
	transposeName:     runConvTranspose,
	"copy":            runCopy,
	"embedding":       runEmbedding,
	"gather":          runGather,
	"gather_elements": runGatherElements,
	"gemm":            runProduct,
	"layer_norm":      inPlace(runLayerNorm),
	"log_softmax":     inRows(runLogSoftmax),
	"rms_norm":        inPlace(runRMSNorm),
	"rope":            runRoPE,
	"max_pool":        runPool,
	pointwiseName:     runPointwise,
	"pick":            runPick,
	recurrentName:     runRecurrent,
	"reduce":          runReduce,
	"reshape":         runReshape,
	resizeName:        runResize,
	"sample":          inRows(runSample),
	"softmax":         runSoftmaxOf,
	"topk":            inRows(runTopK),
	"write_rows":      runWriteRows,
}

// copying are the kernels that copy with the help of other threads.
var copying = map[string]bool{"concat": true, "copy": true, "reshape": true, "write_rows": true}

// reductions are the kernels with the geometry of a reduction.
var reductions = map[string]bool{"argmax": true, "reduce": true}

// The kernels with a geometry of their own.
const (
	resizeName    = "resize"
	transposeName = "conv_transpose"
	recurrentName = "recurrent"
	padName       = "pad"
)

var ownGeometry = map[string]bool{resizeName: true, transposeName: true, recurrentName: true}

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

// compute computes a group with the kernel chosen for it. A kernel is not called
// for an output without elements.
func (c *chosen) compute(s *step) error {
	s.reference = false
	if s.out.Len() == 0 {
		return nil
	}
	if c.fits != nil && !c.fits(s.op, s.in, s.out) {
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
func (d *Device) Capabilities() device.Capabilities {
	can := device.Capabilities{Convolution: hasConvolution, Pointwise: kernelchoice.Pointwise}
	if !d.opts.Reference {
		can.Elementwise = kernelchoice.Elementwise
	}
	return can
}
