package cuda

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// launch launches the kernels of a group. The output has elements.
type launch func(r *run, g *group) error

// operators launch the operators, by name: one line each. The pointwise ones of
// float32 are in package kernels, see [kernels.CodeOf]. An operator without
// either is lacking, as package kernelchoice says, which lists them too.
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
	case program.Single, program.Convolve, program.Elementwise:
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

// Capabilities implements [device.Device].
func (*Device) Capabilities() device.Capabilities {
	return device.Capabilities{
		Convolution: func(*program.Convolution, []int) bool { return false },
		Pointwise:   hasPointwise,
		Lacks:       kernelchoice.CUDALacks,
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
	case program.Single, program.Convolve, program.Elementwise:
	}
	return scratches[o.Name()]
}

// scratches are those of operators, by name, where there is any.
var scratches = map[string]func(r *run, g *group) int{
	"sample": sampleScratch,
	"topk":   topKScratch,
}
