package cuda

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// launch launches the kernels of a group. The output has elements.
type launch func(r *run, g *group) error

// operators launch the operators, by name: one line each. The pointwise ones of
// float32 are in package kernels, see [kernels.CodeOf]. An operator without
// either is lacking.
var operators = map[string]launch{
	"append":      launchAppend,
	"argmax":      launchArgMax,
	"attention":   launchAttention,
	"batch_norm":  launchBatchNorm,
	"cast":        launchPointwise,
	"causal_mask": launchCausalMask,
	"concat":      launchConcat,
	"contiguous":  launchCopy,
	"embedding":   launchEmbedding,
	"equal":       launchPointwise,
	"expand":      launchCopy,
	"identity":    launchCopy,
	"layer_norm":  launchLayerNorm,
	"log_softmax": launchLogSoftmax,
	"matmul":      launchMatMul,
	"max_pool2d":  launchMaxPool,
	"pick":        launchPick,
	"reduce":      launchReduce,
	"reshape":     launchReshape,
	"rms_norm":    launchRMSNorm,
	"rope":        launchRoPE,
	"sample":      launchSample,
	"slice":       nil, // always a view
	"softmax":     launchSoftmax,
	"topk":        launchTopK,
	"transpose":   launchTranspose,
	"where":       launchPointwise,
	"write_rows":  launchWriteRows,
}

// launchOf is what launches a group, nil for nothing.
func launchOf(g *program.Group, ops []op.Op) launch {
	switch g.Kind {
	case program.Linear:
		return launchLinear
	case program.Attend:
		return launchAttention
	case program.Single, program.Convolve:
	}
	o := ops[g.Steps[0]]
	if hasPointwise(o) {
		return launchPointwise
	}
	return operators[o.Name()]
}

// hasPointwise reports whether a pointwise operator can be applied to a
// product's result.
func hasPointwise(o op.Op) bool {
	_, _, ok := kernels.CodeOf(o)
	return ok
}

// lacks reports whether there is no kernel for an operator of these inputs.
func lacks(o op.Op, in []plan.Spec) bool {
	floats := !slices.ContainsFunc(in, func(s plan.Spec) bool { return s.DType != plan.F32 })
	if hasPointwise(o) {
		return !floats
	}
	switch o := o.(type) {
	case op.Equal:
		return slices.ContainsFunc(in, func(s plan.Spec) bool { return s.DType == plan.Bool })
	case op.ArgMax, op.ArgMin:
		return !floats || o.Name() == "argmin"
	case op.MaxPool2D:
		return !o.Plain()
	case op.Reduce:
		return !floats || o.Kind != "sum" && o.Kind != "mean" && o.Kind != "max"
	}
	_, ok := operators[o.Name()]
	return !ok
}

// Capabilities implements [device.Device].
func (*Device) Capabilities() device.Capabilities {
	return device.Capabilities{
		Convolution: func(*program.Convolution, []int) bool { return false },
		Pointwise:   hasPointwise,
		Lacks:       lacks,
	}
}

// workspaceOf is what computes the scratch memory of a group, in bytes; nil for
// none.
func workspaceOf(g *program.Group, o op.Op) func(r *run, g *group) int {
	switch g.Kind {
	case program.Linear:
		return linearScratch
	case program.Attend:
		return attentionScratch
	case program.Single, program.Convolve:
	}
	return scratches[o.Name()]
}

// scratches are those of operators, by name, where there is any.
var scratches = map[string]func(r *run, g *group) int{
	"sample": sampleScratch,
	"topk":   topKScratch,
}
