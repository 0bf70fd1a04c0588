package kernelchoice

import "github.com/genie-sdk/go/internal/program"

// groups are the kernels of groups of several steps, and of products with one
// matrix.
var groups = map[program.Kind]Choice{
	program.Linear:   {"gemm", nil},
	program.Attend:   {"attention", nil},
	program.Convolve: {"conv", nil},
	// Any layout, block by block.
	program.Elementwise: {pointwiseKernel, nil},
}

// pointwise are the pointwise operators with a kernel that also applies them to
// the result of a product. It is called pointwise, and computes operands of any
// layout.
var pointwise = map[string]bool{
	"abs":        true,
	"acos":       true,
	"acosh":      true,
	"add":        true,
	"asin":       true,
	"asinh":      true,
	"atan":       true,
	"atanh":      true,
	"bias":       true,
	"ceil":       true,
	"clip":       true,
	"cos":        true,
	"cosh":       true,
	"div":        true,
	"erf":        true,
	"exp":        true,
	"expm1":      true,
	"floor":      true,
	"gelu":       true,
	"log":        true,
	"log1p":      true,
	"max":        true,
	"min":        true,
	"mod":        true,
	"mul":        true,
	"neg":        true,
	"pow":        true,
	"quick_gelu": true,
	"reciprocal": true,
	"relu":       true,
	"round":      true,
	"rsqrt":      true,
	"sigmoid":    true,
	"sign":       true,
	"silu":       true,
	"sin":        true,
	"sinh":       true,
	"softplus":   true,
	"sqrt":       true,
	"sub":        true,
	"tan":        true,
	"tanh":       true,
}

// selections are the pointwise operators with such a kernel that a product does
// not take along: their results are of another type, or they have more inputs.
var selections = map[string]bool{
	"and":           true,
	"cast":          true,
	"equal":         true,
	"greater":       true,
	"greater_equal": true,
	"is_inf":        true,
	"is_nan":        true,
	"less":          true,
	"less_equal":    true,
	"not":           true,
	"or":            true,
	"where":         true,
	"xor":           true,
}

// operators are the kernels of the other operators, by the operator's name: one
// line each.
var operators = map[string]Choice{
	"avg_pool2d":       {"avg_pool", nil},
	"pad":              {"pad", padFits},
	"append":           {"append", nil},
	"argmax":           {"argmax", floatsFit},
	"argmin":           {"argmax", floatsFit},
	"batch_norm":       {"batch_norm", parametersFit},
	"causal_mask":      {"causal_mask", nil},
	"concat":           {"concat", nil},
	"conv_transpose2d": {"conv_transpose", parametersFit},
	"contiguous":       {"copy", nil},
	"embedding":        {"embedding", nil},
	"expand":           {"copy", nil},
	"gather":           {"gather", nil},
	"gather_elements":  {"gather_elements", nil},
	"identity":         {"copy", nil},
	"lstm":             {"recurrent", recurrentFits},
	"gru":              {"recurrent", recurrentFits},
	"layer_norm":       {"layer_norm", parametersFit},
	"log_softmax":      {"log_softmax", logSoftmaxFits},
	"rms_norm":         {"rms_norm", parametersFit},
	"rope":             {"rope", ropeFits},
	"matmul":           {"batched_gemm", nil},
	"max_pool2d":       {"max_pool", nil},
	"pick":             {"pick", nil},
	"reduce":           {"reduce", nil},
	"reshape":          {"reshape", nil},
	"resize":           {"resize", resizeFits},
	"sample":           {"sample", nil},
	"softmax":          {"softmax", nil},
	"topk":             {"topk", nil},
	"transpose":        {"copy", nil},
	"write_rows":       {"write_rows", nil},
}

// Names are the names of all kernels but the reference, in no order.
func Names() []string {
	seen := map[string]bool{pointwiseKernel: true}
	out := []string{pointwiseKernel}
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
