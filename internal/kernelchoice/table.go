package kernelchoice

import "github.com/genie-sdk/go/internal/program"

// groups are the kernels of groups of several steps, and of products with one
// matrix.
var groups = map[program.Kind]Choice{
	program.Linear:   {"gemm", gemmFits},
	program.Attend:   {"attention", nil},
	program.Convolve: {"conv", nil},
}

// pointwise are the pointwise operators with a kernel, which is called
// pointwise: one line each, with what it computes on its own.
var pointwise = map[string]Fits{
	"add":        binaryFits,
	"bias":       binaryFits,
	"div":        binaryFits,
	"exp":        unaryFits,
	"gelu":       unaryFits,
	"mul":        binaryFits,
	"quick_gelu": unaryFits,
	"relu":       unaryFits,
	"silu":       unaryFits,
	"sqrt":       unaryFits,
	"sub":        binaryFits,
	"tanh":       unaryFits,
}

// operators are the kernels of the other operators, by the operator's name: one
// line each.
var operators = map[string]Choice{
	"append":      {"append", nil},
	"argmax":      {"argmax", argMaxFits},
	"batch_norm":  {"batch_norm", batchNormFits},
	"causal_mask": {"causal_mask", rowsFit},
	"concat":      {"concat", nil},
	"contiguous":  {"copy", nil},
	"embedding":   {"embedding", embeddingFits},
	"identity":    {"copy", nil},
	"layer_norm":  {"layer_norm", layerNormFits},
	"matmul":      {"batched_gemm", matMulFits},
	"max_pool2d":  {"max_pool", maxPoolFits},
	"reduce":      {"image_mean", imageMeanFits},
	"reshape":     {"reshape", nil},
	"sample":      {"sample", rowsFit},
	"softmax":     {"softmax", softmaxFits},
	"topk":        {"topk", topKFits},
	"transpose":   {"copy", nil},
}

// Names are the names of all kernels but the reference, in no order.
func Names() []string {
	seen := map[string]bool{"pointwise": true}
	out := []string{"pointwise"}
	add := func(c Choice) {
		if !seen[c.Kernel] {
			seen[c.Kernel] = true
			out = append(out, c.Kernel)
		}
	}
	for _, c := range groups {
		add(c)
	}
	for _, c := range operators {
		add(c)
	}
	return out
}
