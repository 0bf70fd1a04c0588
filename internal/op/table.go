package op

import (
	"fmt"
	"slices"
	"strings"

	"github.com/genie-sdk/go/transport/plan"
)

type decoder func(r *plan.AttrReader) Op

// table lists every operator by its name in plans.
var table = map[string]decoder{
	"add":         func(*plan.AttrReader) Op { return Add() },
	"sub":         func(*plan.AttrReader) Op { return Sub() },
	"mul":         func(*plan.AttrReader) Op { return Mul() },
	"div":         func(*plan.AttrReader) Op { return Div() },
	"append":      decodeAppend,
	"argmax":      decodeArgMax,
	"attention":   decodeAttention,
	"batch_norm":  decodeBatchNorm,
	"bias":        func(*plan.AttrReader) Op { return Bias{} },
	"cast":        decodeCast,
	"causal_mask": decodeCausalMask,
	"concat":      decodeConcat,
	"contiguous":  func(*plan.AttrReader) Op { return Contiguous{} },
	"conv2d":      decodeConv2D,
	"embedding":   func(*plan.AttrReader) Op { return Embedding{} },
	"equal":       func(*plan.AttrReader) Op { return Equal{} },
	"exp":         func(*plan.AttrReader) Op { return Exp{} },
	"expand":      decodeExpand,
	"gelu":        decodeGELU,
	"identity":    func(*plan.AttrReader) Op { return Identity{} },
	"layer_norm":  decodeLayerNorm,
	"log_softmax": decodeLogSoftmax,
	"matmul":      decodeMatMul,
	"max_pool2d":  decodeMaxPool2D,
	"pick":        func(*plan.AttrReader) Op { return Pick{} },
	"quick_gelu":  func(*plan.AttrReader) Op { return QuickGELU{} },
	"reduce":      decodeReduce,
	"relu":        func(*plan.AttrReader) Op { return ReLU{} },
	"reshape":     decodeReshape,
	"rms_norm":    decodeRMSNorm,
	"rope":        decodeRoPE,
	"sample":      func(*plan.AttrReader) Op { return Sample{} },
	"silu":        func(*plan.AttrReader) Op { return SiLU{} },
	"slice":       decodeSlice,
	"softmax":     decodeSoftmax,
	"sqrt":        func(*plan.AttrReader) Op { return Sqrt{} },
	"tanh":        func(*plan.AttrReader) Op { return Tanh{} },
	"topk":        decodeTopK,
	"transpose":   decodeTranspose,
	"where":       func(*plan.AttrReader) Op { return Where{} },
	"write_rows":  decodeWriteRows,
}

// New makes the operator that a plan names. An unknown name and a missing,
// unknown or ill-typed attribute are errors wrapping [plan.ErrInvalid].
func New(name string, attrs plan.Attrs) (Op, error) {
	dec, ok := table[name]
	if !ok {
		return nil, fmt.Errorf("%w: unknown operator %.80q", plan.ErrInvalid, name)
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
