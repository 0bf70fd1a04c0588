package op

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

type decoder func(r *plan.AttrReader) Op

// table lists every operator by its name in plans.
var table = map[string]decoder{
	"attention":        decodeAttention,
	"log_softmax":      decodeLogSoftmax,
	"rms_norm":         decodeRMSNorm,
	"rope":             decodeRoPE,
	"add":              plain(Add()),
	"sub":              plain(Sub()),
	"mul":              plain(Mul()),
	"div":              plain(Div()),
	"min":              plain(Min()),
	"max":              plain(Max()),
	"pow":              plain(Pow()),
	"mod":              decodeMod,
	"abs":              plain(Abs()),
	"neg":              plain(Neg()),
	"sign":             plain(Sign()),
	"reciprocal":       plain(Reciprocal()),
	"rsqrt":            plain(Rsqrt()),
	"log":              plain(Log()),
	"log1p":            plain(Log1p()),
	"expm1":            plain(Expm1()),
	"sin":              plain(Sin()),
	"cos":              plain(Cos()),
	"tan":              plain(Tan()),
	"asin":             plain(Asin()),
	"acos":             plain(Acos()),
	"atan":             plain(Atan()),
	"sinh":             plain(Sinh()),
	"cosh":             plain(Cosh()),
	"asinh":            plain(Asinh()),
	"acosh":            plain(Acosh()),
	"atanh":            plain(Atanh()),
	"erf":              plain(Erf()),
	"sigmoid":          plain(Sigmoid()),
	"softplus":         plain(Softplus()),
	"floor":            plain(Floor()),
	"ceil":             plain(Ceil()),
	"round":            plain(Round()),
	"gather":           decodeGather,
	"gather_elements":  decodeGatherElements,
	"gather_nd":        decodeGatherND,
	"scatter_elements": decodeScatterElements,
	"scatter_nd":       decodeScatterND,
	"pad":              decodePad,
	"cumsum":           decodeCumSum,
	"trilu":            decodeTriLU,
	"range":            decodeRange,
	"argmin":           decodeArgMin,
	"avg_pool2d":       decodeAvgPool2D,
	"conv_transpose2d": decodeConvTranspose2D,
	"resize":           decodeResize,
	"lstm":             decodeRecurrent(CellLSTM),
	"gru":              decodeRecurrent(CellGRU),
	"rnn":              decodeRecurrent(CellRNN),
	"group_norm":       decodeGroupNorm,
	"clip":             decodeClip,
	"less":             plain(Less()),
	"less_equal":       plain(LessEqual()),
	"greater":          plain(Greater()),
	"greater_equal":    plain(GreaterEqual()),
	"and":              plain(And()),
	"or":               plain(Or()),
	"xor":              plain(Xor()),
	"not":              plain(Not()),
	"is_nan":           plain(IsNaN()),
	"is_inf":           plain(IsInf()),
	"append":           decodeAppend,
	"argmax":           decodeArgMax,
	"batch_norm":       decodeBatchNorm,
	"bias":             plain(Bias{}),
	"cast":             decodeCast,
	"causal_mask":      decodeCausalMask,
	"concat":           decodeConcat,
	"contiguous":       plain(Contiguous{}),
	"conv2d":           decodeConv2D,
	"embedding":        plain(Embedding{}),
	"equal":            plain(Equal{}),
	"exp":              plain(Exp{}),
	"expand":           decodeExpand,
	"gelu":             decodeGELU,
	"identity":         plain(Identity{}),
	"layer_norm":       decodeLayerNorm,
	"matmul":           decodeMatMul,
	"max_pool2d":       decodeMaxPool2D,
	"pick":             plain(Pick{}),
	"quick_gelu":       plain(QuickGELU{}),
	"reduce":           decodeReduce,
	"relu":             plain(ReLU{}),
	"reshape":          decodeReshape,
	"sample":           plain(Sample{}),
	"silu":             plain(SiLU{}),
	"slice":            decodeSlice,
	"softmax":          decodeSoftmax,
	"sqrt":             plain(Sqrt{}),
	"tanh":             plain(Tanh{}),
	"topk":             decodeTopK,
	"transpose":        decodeTranspose,
	"where":            plain(Where{}),
	"write_rows":       decodeWriteRows,
}

// plain decodes an operator without attributes.
func plain(o Op) decoder { return func(*plan.AttrReader) Op { return o } }

// New makes the operator that a plan names. An unknown name and a missing,
// unknown or ill-typed attribute are errors wrapping [plan.ErrInvalid].
func New(name string, attrs plan.Attrs) (Op, error) {
	dec, ok := table[name]
	if !ok {
		return nil, fmt.Errorf("%w: %.80q", transport.ErrUnknownOperator, name)
	}
	if len(attrs) > plan.MaxAttrs {
		return nil, fmt.Errorf("%w: operator %q has %d attributes, the limit is %d", plan.ErrInvalid, name, len(attrs), plan.MaxAttrs)
	}
	r := attrs.Read(name)
	o := dec(r)
	if err := r.Done(); err != nil {
		return nil, err
	}
	// A list that is too long, or a truncated number: what the operator stored
	// must be what the plan said.
	if got, want := o.Attrs().Key(), sorted(attrs).Key(); got != want {
		return nil, fmt.Errorf("%w: operator %q cannot have the attributes %.200s", plan.ErrInvalid, name, want)
	}
	return o, nil
}

func sorted(a plan.Attrs) plan.Attrs {
	byKey := func(a, b plan.Attr) int { return strings.Compare(a.Key, b.Key) }
	if slices.IsSortedFunc(a, byKey) {
		return a
	}
	return slices.SortedFunc(slices.Values(a), byKey)
}

// Names lists the operators of the table, unordered.
func Names() []string {
	out := make([]string, 0, len(table))
	for n := range table {
		out = append(out, n)
	}
	return out
}
