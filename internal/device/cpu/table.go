package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// operators are the kernels of operators that are not pointwise, by name: one line
// each. An operator without a line, here or in [pointwise], runs its reference.
var operators = map[string]kernel{
	"append":      runAppend,
	"argmax":      runArgMax,
	"batch_norm":  runBatchNorm,
	"causal_mask": runCausalMask,
	"concat":      runConcat,
	"contiguous":  runCopy,
	"embedding":   runEmbedding,
	"identity":    runCopy,
	"layer_norm":  runLayerNorm,
	"log_softmax": runLogSoftmax,
	"matmul":      runMatMul,
	"max_pool2d":  runMaxPool,
	"reduce":      runReduce,
	"reshape":     runReshape,
	"rms_norm":    runRMSNorm,
	"rope":        runRoPE,
	"sample":      runSample,
	"softmax":     runSoftmax,
	"topk":        runTopK,
	"transpose":   runCopy,
}

// groupKernels are the kernels of groups of several steps.
var groupKernels = map[program.Kind]kernel{
	program.Linear:   runLinear,
	program.Attend:   runAttention,
	program.Convolve: runConv,
}

func kernelFor(g *program.Group, ops []op.Op) kernel {
	if k := groupKernels[g.Kind]; k != nil {
		return k
	}
	o := ops[g.Steps[0]]
	if hasPointwise(o) {
		return runPointwise
	}
	if k := operators[o.Name()]; k != nil {
		return k
	}
	return runReference
}

// Capabilities implements [device.Device].
func (*Device) Capabilities() device.Capabilities {
	return device.Capabilities{Convolution: hasConvolution, Pointwise: hasPointwise}
}
