package devicetest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// operand is an input of an operator.
type operand struct {
	dtype plan.DType
	dims  []int
	most  int  // of indices: their upper bound
	abs   bool // floats that are not negative
}

func f32(dims ...int) operand { return operand{dtype: plan.F32, dims: dims} }

func index(t plan.DType, most int, dims ...int) operand {
	return operand{dtype: t, dims: dims, most: most}
}

func positive(dims ...int) operand { return operand{dtype: plan.F32, dims: dims, abs: true} }

// evaluation is an operator with its attributes and inputs.
type evaluation struct {
	attrs plan.Attrs
	in    []operand
}

func eval(attrs plan.Attrs, in ...operand) evaluation { return evaluation{attrs, in} }

// unary are pointwise operators at odd sizes.
func unary(attrs plan.Attrs, of func(dims ...int) operand) []evaluation {
	return []evaluation{eval(attrs, of(1)), eval(attrs, of()), eval(attrs, of(3, 7, 5)), eval(attrs, of(2, 3, 17, 19)), eval(attrs, of(0, 3)), eval(attrs, of(1031))}
}

// pairs are pointwise operators of two inputs, with and without broadcasting.
func pairs(of func(dims ...int) operand) []evaluation {
	return []evaluation{
		eval(nil, f32(5), of(5)), eval(nil, f32(3, 7), of(7)), eval(nil, f32(3, 1, 5), of(2, 5)), eval(nil, f32(), of(3, 3)),
		eval(nil, f32(2, 3, 5, 7), of(3, 1, 7)), eval(nil, f32(67, 33), of(67, 1)), eval(nil, f32(0, 3), of(3)),
	}
}

func axis(n int) plan.Attrs { return plan.Attrs{plan.Int("axis", n)} }

func conv(dilation, groups, pad, stride int) plan.Attrs {
	pair := func(key string, n int) plan.Attr { return plan.Ints(key, []int{n, n}) }
	return plan.Attrs{pair("dilation", dilation), plan.Int("groups", groups), pair("pad", pad), pair("stride", stride)}
}

func pool(kernel, pad, stride int) plan.Attrs {
	pair := func(key string, n int) plan.Attr { return plan.Ints(key, []int{n, n}) }
	return plan.Attrs{pair("kernel", kernel), pair("pad", pad), pair("stride", stride)}
}

func reduce(kind string, keep bool, axes ...int) plan.Attrs {
	return plan.Attrs{plan.Ints("axes", axes), plan.BoolAttr("keep", keep), plan.Str("kind", kind)}
}

func topk(k int, indices bool) plan.Attrs {
	return plan.Attrs{plan.BoolAttr("indices", indices), plan.Int("k", k)}
}

func dims(key string, n ...int) plan.Attr {
	var d []plan.Dim
	for _, x := range n {
		d = append(d, plan.C(x))
	}
	return plan.Dims(key, d...)
}

func slice(axis, start, stop int) plan.Attrs {
	return plan.Attrs{plan.Int("axis", axis), dims("start", start), dims("stop", stop)}
}

func eps(e float64) plan.Attrs { return plan.Attrs{plan.Float("eps", e)} }

// evaluations are those of each operator of the table: an operator without one
// fails the suite. Activations without attributes get theirs from their traits.
var evaluations = withActivations(joined(general, map[string][]evaluation{
	"sqrt": unary(nil, positive), "identity": unary(nil, f32), "contiguous": unary(nil, f32),
	"gelu":      append(unary(plan.Attrs{plan.BoolAttr("tanh", true)}, f32), unary(plan.Attrs{plan.BoolAttr("tanh", false)}, f32)...),
	"attention": attentions(),
	"append":    {eval(axis(1), f32(3, 2, 5), f32(3, 4, 5)), eval(axis(0), f32(1, 3), f32(7, 3))},
	"argmax":    {eval(axis(-1), f32(3, 17)), eval(axis(0), f32(5, 7)), eval(axis(1), f32(3, 5, 7))},
	"batch_norm": {
		eval(eps(1e-3), f32(2, 3, 5, 7), f32(3), f32(3), f32(3), positive(3)),
		eval(eps(1e-5), f32(1, 17, 1, 1), f32(17), f32(17), f32(17), positive(17)),
	},
	"bias": {eval(nil, f32(3, 5, 7), f32(7)), eval(nil, f32(1, 129), f32(129))},
	"cast": {
		eval(plan.Attrs{plan.Int("to", int(plan.I64))}, index(plan.I32, 1000, 3, 5)), eval(plan.Attrs{plan.Int("to", int(plan.F32))}, index(plan.I64, 1000, 7)),
		eval(plan.Attrs{plan.Int("to", int(plan.Bool))}, f32(3, 3)), eval(plan.Attrs{plan.Int("to", int(plan.I32))}, f32(5)), eval(plan.Attrs{plan.Int("to", int(plan.F32))}, index(plan.Bool, 2, 9)),
	},
	"causal_mask": {
		eval(plan.Attrs{plan.Int("window", 0)}, f32(2, 3, 5, 9)), eval(plan.Attrs{plan.Int("window", 2)}, f32(3, 7, 7)),
		eval(plan.Attrs{plan.Int("window", 3)}, f32(2, 3, 5, 9), index(plan.I32, 4, 2)), eval(plan.Attrs{plan.Int("window", 0)}, f32(1, 1)),
	},
	"concat": {
		eval(axis(0), f32(3, 5), f32(1, 5), f32(0, 5)), eval(axis(-1), f32(3, 5), f32(3, 2)), eval(axis(1), f32(2, 3, 5)),
		eval(axis(1), index(plan.I64, 9, 2, 3), index(plan.I64, 9, 2, 1)),
	},
	"conv2d": {
		eval(conv(1, 1, 0, 1), f32(1, 3, 7, 5), f32(5, 3, 1, 1)), eval(conv(1, 1, 1, 1), f32(2, 3, 9, 7), f32(17, 3, 3, 3), f32(17)),
		eval(conv(1, 1, 3, 2), f32(1, 3, 15, 13), f32(5, 3, 7, 7)), eval(conv(2, 1, 1, 1), f32(1, 2, 9, 9), f32(3, 2, 3, 3)),
		eval(conv(1, 3, 1, 1), f32(1, 6, 5, 5), f32(9, 2, 3, 3), f32(9)), eval(conv(1, 5, 1, 2), f32(3, 5, 7, 7), f32(5, 1, 3, 3)),
		eval(conv(1, 1, 0, 4), f32(1, 3, 8, 8), f32(7, 3, 4, 4)), eval(conv(1, 1, 1, 1), f32(1, 33, 6, 6), f32(31, 33, 3, 3)),
	},
	"embedding": {eval(nil, f32(11, 5), index(plan.I32, 11, 3, 2)), eval(nil, f32(7, 33), index(plan.I64, 7, 5)), eval(nil, f32(3, 1), index(plan.I64, 3, 0))},
	"equal":     {eval(nil, index(plan.I32, 3, 5, 7), index(plan.I32, 3, 7)), eval(nil, index(plan.I64, 2, 9), index(plan.I64, 2, 1)), eval(nil, index(plan.Bool, 2, 9), index(plan.Bool, 2, 3, 9))},
	"expand":    {eval(plan.Attrs{dims("shape", 3, 5, 7)}, f32(5, 1)), eval(plan.Attrs{dims("shape", 2, 3)}, f32())},
	"layer_norm": {
		eval(eps(1e-5), f32(3, 17)), eval(eps(1e-5), f32(3, 33), f32(33)),
		eval(eps(1e-5), f32(3, 17), f32(17), f32(17)), eval(eps(1e-5), f32(2, 3, 65), f32(65), f32(65)), eval(eps(1e-5), f32(1, 1), f32(1), f32(1)),
	},
	"log_softmax": {eval(axis(-1), f32(3, 17)), eval(axis(0), f32(5, 3)), eval(axis(-1), f32(2, 3, 65)), eval(axis(-1), f32(1, 1))},
	"matmul": {
		eval(matmul(false, false), f32(3, 5), f32(5, 7)), eval(matmul(false, true), f32(1, 33), f32(67, 33)), eval(matmul(true, false), f32(5, 3), f32(5, 7)),
		eval(matmul(true, true), f32(5, 3), f32(7, 5)), eval(matmul(false, false), f32(2, 3, 5, 7), f32(2, 3, 7, 9)), eval(matmul(false, true), f32(2, 1, 5, 7), f32(3, 9, 7)),
		eval(matmul(false, false), f32(2, 3, 65), f32(65, 33)), eval(matmul(false, false), f32(0, 5), f32(5, 3)), eval(matmul(false, false), f32(3, 0), f32(0, 5)),
		eval(matmul(false, true), f32(17, 129), f32(257, 129)),
	},
	"max_pool2d": {eval(pool(3, 1, 2), f32(2, 3, 9, 7)), eval(pool(2, 0, 2), f32(1, 1, 5, 5)), eval(pool(1, 0, 1), f32(1, 5, 3, 3))},
	"pick":       {eval(nil, f32(3, 7, 5), index(plan.I64, 7, 3)), eval(nil, f32(1, 2, 33), index(plan.I64, 2, 1))},
	"reduce": {
		eval(reduce("sum", false, 1), f32(3, 7, 5)), eval(reduce("mean", true, -1), f32(3, 17)), eval(reduce("max", false, 0, 2), f32(3, 5, 7)),
		eval(reduce("mean", false, 2, 3), f32(2, 5, 7, 7)), eval(reduce("sum", true, 0), f32(129)),
	},
	"reshape": {eval(plan.Attrs{dims("shape", 5, 3)}, f32(3, 5)), eval(plan.Attrs{dims("shape", 30)}, f32(2, 3, 5)), eval(plan.Attrs{dims("shape", 1, 1)}, f32())},
	"rms_norm": {
		eval(rms(0), f32(3, 17), f32(17)), eval(rms(1), f32(2, 3, 65), f32(65)), eval(rms(0), f32(5, 33)), eval(rms(0), f32(1, 1), f32(1)), eval(rms(0), f32(0, 3), f32(3)),
	},
	"rope": {
		eval(rope(false, 0), f32(2, 3, 5, 8), f32(5, 4), f32(5, 4)), eval(rope(true, 0), f32(2, 3, 5, 8), f32(2, 1, 5, 4), f32(5, 4)),
		eval(rope(false, 34), f32(3, 5, 67), f32(1, 17), f32(3, 1, 17)), eval(rope(true, 6), f32(7, 9), f32(7, 3), f32(3)), eval(rope(false, 0), f32(1, 2), f32(1), f32(1)),
	},
	"sample": {
		eval(nil, f32(3, 17), positive(3), positive(3), index(plan.I32, 9, 3), index(plan.I64, 1000, 3), index(plan.I32, 1000, 3)),
	},
	"slice":   {eval(slice(1, 2, 5), f32(3, 7)), eval(slice(0, 1, 1), f32(3, 7)), eval(slice(-1, 0, 1), f32(2, 3, 5))},
	"softmax": {eval(axis(-1), f32(3, 17)), eval(axis(0), f32(5, 3)), eval(axis(-1), f32(2, 3, 65)), eval(axis(-1), f32(1, 1))},
	"topk": {
		eval(topk(3, false), f32(3, 17)), eval(topk(3, true), f32(3, 17)), eval(topk(1, true), f32(1, 1)), eval(topk(33, true), f32(2, 65)),
	},
	"transpose":  {eval(perm(1, 0), f32(3, 7)), eval(perm(0, 2, 1, 3), f32(2, 3, 5, 7)), eval(perm(2, 0, 1), f32(3, 5, 7))},
	"where":      {eval(nil, index(plan.Bool, 2, 3, 5), f32(3, 5), f32(5)), eval(nil, index(plan.Bool, 2, 7), f32(1), f32(3, 7))},
	"write_rows": {eval(axis(1), f32(3, 9, 5), f32(3, 2, 5), index(plan.I32, 7, 1)), eval(axis(0), f32(4, 3), f32(4, 3), index(plan.I64, 1, 1))},
}))

// joined has the evaluations of both lists.
func joined(a, b map[string][]evaluation) map[string][]evaluation {
	out := maps.Clone(a)
	for name, e := range b {
		out[name] = append(out[name], e...)
	}
	return out
}

func rms(offset float64) plan.Attrs { return op.RMSNorm{Eps: 1e-5, Offset: offset}.Attrs() }

func rope(interleaved bool, dims int) plan.Attrs {
	return op.RoPE{Interleaved: interleaved, Dims: dims}.Attrs()
}

// attentions have all kinds of masks, groups of heads, and numbers of rows on
// either side of what kernels treat alike.
func attentions() (out []evaluation) {
	add := func(o op.Attention, q, k []int, masks ...operand) {
		if o.Scale = 0.375; o.Mask == "" {
			o.Mask = op.MaskNone
		}
		v := append(slices.Clone(k[:len(k)-1]), k[len(k)-1]+2)
		out = append(out, eval(o.Attrs(), append([]operand{f32(q...), f32(k...), f32(v...)}, masks...)...))
	}
	truth := func(dims ...int) operand { return index(plan.Bool, 2, dims...) }
	add(op.Attention{}, []int{2, 3, 5, 7}, []int{2, 3, 9, 7})
	add(op.Attention{}, []int{3, 1, 17}, []int{3, 33, 17})
	add(op.Attention{}, []int{2, 6, 1, 8}, []int{2, 2, 67, 8})
	add(op.Attention{}, []int{1, 2, 2, 3, 5, 4}, []int{1, 2, 2, 1, 7, 4})
	add(op.Attention{Causal: true}, []int{1, 8, 3, 8}, []int{1, 2, 21, 8})
	add(op.Attention{Causal: true, Window: 5}, []int{2, 4, 19, 8}, []int{2, 2, 19, 8})
	add(op.Attention{Causal: true, Start: true}, []int{2, 2, 13, 4}, []int{2, 2, 13, 4}, index(plan.I32, 9, 2))
	add(op.Attention{Start: true}, []int{3, 2, 2, 4}, []int{3, 1, 11, 4}, index(plan.I64, 9, 3))
	add(op.Attention{Softcap: 1.5}, []int{1, 4, 12, 8}, []int{1, 2, 18, 8})
	add(op.Attention{Mask: op.MaskAdd}, []int{2, 4, 11, 8}, []int{2, 4, 13, 8}, f32(2, 1, 1, 13))
	add(op.Attention{Mask: op.MaskAdd}, []int{2, 4, 11, 8}, []int{2, 2, 13, 8}, f32(4, 11, 13))
	add(op.Attention{Mask: op.MaskAdd, Causal: true, Softcap: 2}, []int{2, 4, 2, 8}, []int{2, 1, 13, 8}, f32(2, 1))
	add(op.Attention{Mask: op.MaskBool}, []int{2, 4, 11, 8}, []int{2, 4, 13, 8}, truth(2, 1, 11, 13))
	add(op.Attention{Mask: op.MaskBool}, []int{1, 6, 1, 8}, []int{1, 3, 35, 8}, truth(35))
	add(op.Attention{Mask: op.MaskBool, Causal: true, Start: true, Window: 4}, []int{2, 4, 50, 8}, []int{2, 2, 50, 8}, truth(50, 50), index(plan.I32, 20, 2))
	add(op.Attention{}, []int{1, 2, 3, 4}, []int{1, 2, 0, 4})
	return out
}

func withActivations(of map[string][]evaluation) map[string][]evaluation {
	for _, o := range op.Activations() {
		if of[o.Name()] == nil {
			of[o.Name()] = unary(nil, f32)
		}
	}
	return of
}

// form is the origin of an operator's inputs.
type form uint8

const (
	formInputs  form = iota
	formWeights      // floats after the first input are weights
	formConsts       // the same, constants
	formTurned       // the axes of inputs are in reverse order
	formTemps        // inputs are computed
	forms
)

func testOperators(f *fixture) {
	e := f.engine(nil)
	for _, name := range op.Names() {
		require.NotEmpty(f, evaluations[name], "operator %q has no evaluation in the suite", name)
		for i, x := range evaluations[name] {
			for form := range forms {
				f.evaluate(e, fmt.Sprintf("%s %d form %d", name, i, form), name, x, form)
			}
		}
	}
	for name := range evaluations {
		require.Contains(f, op.Names(), name)
	}
}

// evaluate runs one operator on its own. It outputs the result row-major and,
// where it has axes to reverse, also with reversed axes.
func (f *fixture) evaluate(e *engine.Engine, what, name string, x evaluation, form form) {
	f.Helper()
	b := f.plan(what)
	var in [][]byte
	var values []int
	for i, o := range x.in {
		content := o.content(uint64(i + 1))
		switch {
		case name == "append" && i == 0: // carried state; see also testAppended
			shape := op.Static(o.dims)
			shape[x.attrs[0].Int] = plan.Sym("past")
			values = append(values, b.leaf(plan.Value{Kind: plan.KindState, Spec: plan.Spec{DType: o.dtype, Shape: shape}}))
			continue
		case o.dtype == plan.F32 && (i > 0 || name == "embedding") && form == formWeights:
			values = append(values, b.weight(plan.F32, content, o.dims...))
			continue
		case o.dtype == plan.F32 && i > 0 && form == formConsts:
			values = append(values, b.leaf(plan.Value{Kind: plan.KindConst, Spec: plan.Spec{DType: o.dtype, Shape: op.Static(o.dims)}, Const: content}))
			continue
		}
		shape := slices.Clone(o.dims)
		if form == formTurned {
			slices.Reverse(shape)
		}
		v := b.Input(plan.Spec{DType: o.dtype, Shape: op.Static(shape)})
		in = append(in, content)
		switch {
		case form == formTurned && len(shape) > 1:
			v = b.step("transpose", perm(turned(len(shape))...), v)
		case form == formTemps && o.dtype == plan.F32:
			v = b.step("add", nil, v, v)
		case form == formTemps:
			v = b.step("contiguous", nil, v)
		}
		values = append(values, v)
	}
	y := b.step(name, x.attrs, values...)
	calls := []call{{in: in}}
	if name == "append" {
		n := int(x.attrs[0].Int)
		b.carry(plan.StateAppend, values[0], y, n)
		calls = []call{{plan.Bindings{"past": 0}, in}, {plan.Bindings{"past": x.in[1].dims[n]}, in}}
	}
	outs := []int{y}
	if n := len(b.Plan().Values[y].Spec.Shape); n > 1 {
		outs = append(outs, b.step("transpose", perm(turned(n)...), y))
	}
	f.check(e, what, b.out(plan.Download, outs...).done(), b.weights, calls...)
}

// turned is the permutation that reverses n axes.
func turned(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = n - 1 - i
	}
	return p
}

func (o operand) content(seed uint64) []byte {
	n := 1
	for _, d := range o.dims {
		n *= d
	}
	b := numbers(o.dtype, n, o.most, seed)
	if o.abs {
		for i := range n {
			b[4*i+3] &= 0x7f // the sign
		}
	}
	return b
}
