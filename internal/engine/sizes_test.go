package engine_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// nastySizes are the sizes to which symbols are bound: zero, one, small ones,
// those around the widths of integers, the largest dimension, and invalid ones.
var nastySizes = []int{0, 1, 3, 17, 1<<31 - 1, 1 << 31, 1<<31 + 1, 1 << 33, 1 << 40, 1<<40 + 1, -1, -1 << 31, -1 << 63, 1<<63 - 1}

// sizedStep is a step of a plan: an operator over the values of names.
type sizedStep struct {
	op    string
	attrs plan.Attrs
	in    []string
	out   string
}

// sizedPlan makes a plan of inputs, by name, and steps, or returns why there is
// none.
func sizedPlan(inputs []sizedInput, steps []sizedStep) (*plan.Plan, error) {
	m := planmaker.New(nil)
	values := map[string]int{}
	for _, in := range inputs {
		values[in.name] = m.Input(in.spec)
	}
	last := 0
	for _, s := range steps {
		var in []int
		for _, name := range s.in {
			in = append(in, values[name])
		}
		v, ok := m.Apply(s.op, s.attrs, in...)
		if !ok {
			return nil, fmt.Errorf("%w: %s does not take it", transport.ErrShape, s.op)
		}
		values[s.out], last = v, v
	}
	p := m.Plan()
	p.Outputs = append(p.Outputs, plan.Output{Name: "o", Value: last, Place: plan.Download, Cause: plan.CauseActivation})
	m.Assign()
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	return plan.Decode(encoded)
}

type sizedInput struct {
	name string
	spec plan.Spec
}

// input is an input of f32, or of another type if the name ends in :i32 or
// similar.
func input(name string, dims ...any) sizedInput {
	s := plan.Spec{DType: plan.F32}
	for _, d := range dims {
		switch d := d.(type) {
		case int:
			s.Shape = append(s.Shape, plan.C(d))
		case string:
			s.Shape = append(s.Shape, plan.Sym(d))
		}
	}
	return sizedInput{name, s}
}

func (s sizedInput) of(t plan.DType) sizedInput {
	s.spec.DType = t
	return s
}

// everySize are plans with all operators whose dimensions may be bound.
func everySize() map[string]struct {
	in    []sizedInput
	steps []sizedStep
} {
	type p = struct {
		in    []sizedInput
		steps []sizedStep
	}
	one := func(op string, attrs plan.Attrs, in ...sizedInput) p {
		var names []string
		for _, i := range in {
			names = append(names, i.name)
		}
		return p{in, []sizedStep{{op, attrs, names, "y"}}}
	}
	x := input("x", "a", "b", "c")
	product := plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}
	transposed := plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", true)}
	last := plan.Attrs{plan.Int("axis", -1)}
	axis := func(a int) plan.Attrs { return plan.Attrs{plan.Int("axis", a)} }
	eps := plan.Attrs{plan.Float("eps", 1e-5)}
	out := map[string]p{
		"add":             one("add", nil, x, input("y", "c")),
		"div":             one("div", nil, x, input("y", "a", 1, "c")),
		"matmul":          one("matmul", product, x, input("w", "c", "d")),
		"matmul t":        one("matmul", transposed, x, input("w", "d", "c")),
		"matmul ta":       one("matmul", plan.Attrs{plan.BoolAttr("trans_a", true), plan.BoolAttr("trans_b", false)}, input("x", "b", "a"), input("w", "b", "c")),
		"batched":         one("matmul", product, x, input("w", "a", "c", "d")),
		"bias":            one("bias", nil, x, input("y", "c")),
		"layernorm":       one("layer_norm", eps, x, input("g", "c"), input("h", "c")),
		"layernorm gamma": one("layer_norm", eps, x, input("g", "c")),
		"layernorm alone": one("layer_norm", eps, x),
		"rmsnorm":         one("rms_norm", plan.Attrs{plan.Float("eps", 1e-5), plan.Float("offset", 1)}, x, input("g", "c")),
		"rope":            one("rope", plan.Attrs{plan.Int("dims", 0), plan.BoolAttr("interleaved", false)}, input("x", "a", "b", 6), input("c", "b", 3), input("s", "a", 1, 3)),
		"grouped attention": one("attention", op.Attention{Scale: 0.5, Mask: op.MaskAdd, Start: true, Causal: true, Window: 2}.Attrs(),
			input("q", "a", 4, "b", "d"), input("k", "a", 2, "c", "d"), input("v", "a", 2, "c", 3), input("m", "b", 1), input("s", "a").of(plan.I64)),
		"attention of a mask": one("attention", op.Attention{Scale: 0.5, Mask: op.MaskBool}.Attrs(),
			input("q", "a", "b", "d"), input("k", "a", "c", "d"), input("v", "a", "c", "d"), input("m", "c").of(plan.Bool)),
		"batchnorm": one("batch_norm", eps, input("x", "a", "c", "b"), input("g", "c"), input("h", "c"), input("m", "c"), input("v", "c")),
		"mask":      one("causal_mask", plan.Attrs{plan.Int("window", 2)}, x, input("s", "a").of(plan.I32)),
		"concat":    one("concat", axis(1), x, input("y", "a", "d", "c")),
		"embedding": one("embedding", nil, input("t", "a", "b"), input("i", "c").of(plan.I64)),
		"equal":     one("equal", nil, x, input("y", "b", "c")),
		"where":     one("where", nil, input("k", "a", "b").of(plan.Bool), input("x", "b"), input("y", "a", "b")),
		"pick":      one("pick", nil, x, input("i", "a").of(plan.I32)),
		"sample": one("sample", nil, input("x", "a", "b"), input("t", "a"), input("p", "a"), input("k", "a").of(plan.I32),
			input("s", "a").of(plan.I64), input("c", "a").of(plan.I32)),
		"transpose": {[]sizedInput{x}, []sizedStep{{"transpose", plan.Attrs{plan.Ints("perm", []int{2, 0, 1})}, []string{"x"}, "y"}, {"contiguous", nil, []string{"y"}, "z"}}},
		"reshape":   one("reshape", plan.Attrs{plan.Dims("shape", plan.Sym("a").Mul(plan.Sym("b")), plan.Sym("c"))}, x),
		"expand":    one("expand", plan.Attrs{plan.Dims("shape", plan.Sym("d"), plan.Sym("a"), plan.Sym("b"))}, input("x", "a", 1)),
		"write":     one("write_rows", axis(1), x, input("r", "a", "d", "c"), input("i", 1).of(plan.I32)),
		"cast":      one("cast", plan.Attrs{plan.Int("to", int(plan.Bool))}, x),
		"mean of an image": one("reduce", plan.Attrs{plan.Ints("axes", []int{2, 3}), plan.BoolAttr("keep", true), plan.Str("kind", "mean")},
			input("x", "a", "b", "c", "d")),
		"slice": {[]sizedInput{x}, []sizedStep{
			{"slice", plan.Attrs{plan.Int("axis", 1), plan.Dims("start", plan.Sym("d")), plan.Dims("stop", plan.Sym("b"))}, []string{"x"}, "y"},
			{"exp", nil, []string{"y"}, "z"},
		}},
		"slice of a slice": {[]sizedInput{x}, []sizedStep{
			{"slice", plan.Attrs{plan.Int("axis", 0), plan.Dims("start", plan.C(0)), plan.Dims("stop", plan.C(1))}, []string{"x"}, "y"},
			{"slice", plan.Attrs{plan.Int("axis", 1), plan.Dims("start", plan.C(0)), plan.Dims("stop", plan.Sym("d"))}, []string{"y"}, "z"},
			{"exp", nil, []string{"z"}, "e"},
		}},
		"linear": {[]sizedInput{x, input("w", "c", "d"), input("g", "d")}, []sizedStep{
			{"matmul", product, []string{"x", "w"}, "y"}, {"bias", nil, []string{"y", "g"}, "z"}, {"relu", nil, []string{"z"}, "r"},
		}},
		"attention": {[]sizedInput{input("q", "a", "b", "d"), input("k", "a", "c", "d"), input("v", "a", "c", "e")}, []sizedStep{
			{"matmul", transposed, []string{"q", "k"}, "s"},
			{"causal_mask", plan.Attrs{plan.Int("window", 0)}, []string{"s"}, "m"},
			{"softmax", last, []string{"m"}, "p"},
			{"matmul", product, []string{"p", "v"}, "y"},
		}},
	}
	for _, name := range []string{"identity", "contiguous"} {
		out[name] = one(name, nil, x)
	}
	for _, o := range op.Activations() {
		out[o.Name()] = one(o.Name(), nil, x)
	}
	for _, tanh := range []bool{true, false} {
		out[fmt.Sprint("gelu ", tanh)] = one("gelu", plan.Attrs{plan.BoolAttr("tanh", tanh)}, x)
	}
	for a := range 3 {
		out[fmt.Sprint("softmax ", a)] = one("softmax", axis(a), x)
		out[fmt.Sprint("log_softmax ", a)] = one("log_softmax", axis(a), x)
		out[fmt.Sprint("argmax ", a)] = one("argmax", axis(a), x)
		for _, kind := range []string{"sum", "mean", "max"} {
			out[fmt.Sprint(kind, " ", a)] = one("reduce", plan.Attrs{plan.Ints("axes", []int{a}), plan.BoolAttr("keep", false), plan.Str("kind", kind)}, x)
		}
	}
	for _, k := range []int{1, 17} {
		out[fmt.Sprint("topk ", k)] = one("topk", plan.Attrs{plan.BoolAttr("indices", true), plan.Int("k", k)}, input("x", "a", "b", 17))
		out[fmt.Sprint("pool ", k)] = one("max_pool2d", plan.Attrs{plan.Ints("kernel", []int{k, k}), plan.Ints("pad", []int{0, k / 2}), plan.Ints("stride", []int{1, 2})},
			input("x", "a", "b", 17, 17))
	}
	out["conv of unknown channels"] = one("conv2d", convAttrs(1, 1, 1, 1), input("x", "a", "b", 5, 5), input("f", 3, "b", 3, 3), input("g", 3))
	return out
}

func convAttrs(dilation, groups, pad, stride int) plan.Attrs {
	return plan.Attrs{
		plan.Ints("dilation", []int{dilation, dilation}), plan.Int("groups", groups),
		plan.Ints("pad", []int{pad, pad}), plan.Ints("stride", []int{stride, stride}),
	}
}

// bothWays is a plan in two engines: fused, and step by step.
type bothWays struct{ fused, alone *fuzzed }

// TestEverySize binds the symbols of every operator to every combination of nasty
// sizes: what does not fit is refused with a cause, what runs gives the same bits
// fused and step by step, and nothing panics.
func TestEverySize(t *testing.T) {
	for name, c := range everySize() {
		t.Run(name, func(t *testing.T) {
			p, err := sizedPlan(c.in, c.steps)
			require.NoError(t, err)
			fused, alone := twoEngines(t)
			one, ok := prepareFuzzed(t, fused, p, nil)
			require.True(t, ok)
			two, ok := prepareFuzzed(t, alone, p, nil)
			require.True(t, ok)
			symbols, sizes := p.Symbols(), nastySizes
			if len(symbols) > 3 || testing.Short() {
				sizes = []int{0, 1, 3, 1 << 31, 1 << 40}
			}
			ran := 0
			combine(len(symbols), sizes, func(bindings []int) {
				if (bothWays{one, two}).run(t, p, bindings) {
					ran++
				}
			})
			require.Positive(t, ran)
			require.Zero(t, one.close(t))
			require.Zero(t, two.close(t))
		})
	}
}

func twoEngines(t *testing.T) (fused, alone *engine.Engine) {
	fused, err := engine.New(fuzzOptions())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, fused.Close()) })
	alone, err = engine.NewReference(fuzzOptions(), false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, alone.Close()) })
	return fused, alone
}

// combine calls f with all lists of n sizes; f must not retain them.
func combine(n int, sizes []int, f func([]int)) {
	at, list := make([]int, n), make([]int, n)
	for {
		for i, k := range at {
			list[i] = sizes[k]
		}
		f(list)
		i := 0
		for ; i < n; i++ {
			if at[i]++; at[i] < len(sizes) {
				break
			}
			at[i] = 0
		}
		if i == n {
			return
		}
	}
}

// run binds and runs a plan in both engines, and reports whether it ran.
func (b bothWays) run(t *testing.T, p *plan.Plan, bindings []int) bool {
	call := fuzzCall{p: p, bindings: bindings, sizes: plan.Bindings{}, seed: 3}
	for i, s := range p.Symbols() {
		call.sizes[s] = bindings[i]
	}
	left, leftErr := b.fused.run(t, call)
	right, rightErr := b.alone.run(t, call)
	if errors.Is(leftErr, transport.ErrLimit) || errors.Is(rightErr, transport.ErrLimit) {
		return false // fusion stores less
	}
	require.Equal(t, leftErr == nil, rightErr == nil, "%v: fused: %v, step by step: %v", call.sizes, leftErr, rightErr)
	if leftErr != nil {
		require.Equal(t, transport.Code(leftErr), transport.Code(rightErr), "%v: %v, %v", call.sizes, leftErr, rightErr)
		return false
	}
	for i := range left {
		require.Equal(t, left[i].Shape, right[i].Shape)
		if !folds(p) {
			require.Equal(t, bitsOf(left[i]), bitsOf(right[i]), "output %d at %v", i, call.sizes)
		}
	}
	return true
}

// TestEveryImage is the same for sizes that must be constant for images: no
// channels, no filters, no pixels but padding, and sides that no kernel
// accepts.
func TestEveryImage(t *testing.T) {
	sizes := []int{0, 1, 4, 1 << 29, 1 << 33, 1 << 40}
	fused, alone := twoEngines(t)
	ran, refused := 0, 0
	try := func(in []sizedInput, steps []sizedStep) {
		p, err := sizedPlan(in, steps)
		if err != nil {
			refused++
			return
		}
		one, ok := prepareFuzzed(t, fused, p, nil)
		two, again := prepareFuzzed(t, alone, p, nil)
		require.Equal(t, ok, again)
		if !ok {
			return
		}
		defer one.close(t)
		defer two.close(t)
		combine(1, []int{0, 2, 1 << 31}, func(bindings []int) {
			if (bothWays{one, two}).run(t, p, bindings) {
				ran++
			}
		})
	}
	combine(3, sizes, func(s []int) {
		c, h, w := s[0], s[1], s[2]
		for _, pad := range []int{0, 2} {
			pool := plan.Attrs{plan.Ints("kernel", []int{pad + 1, pad + 1}), plan.Ints("pad", []int{pad, pad}), plan.Ints("stride", []int{1, 1})}
			try([]sizedInput{input("x", "n", c, h, w)}, []sizedStep{{"max_pool2d", pool, []string{"x"}, "y"}})
			for _, outs := range sizes {
				in := []sizedInput{input("x", "n", c, h, w), input("f", outs, c, 3, 3), input("g", outs)}
				for range 4 {
					in = append(in, input(fmt.Sprint("p", len(in)), outs))
				}
				conv := sizedStep{"conv2d", convAttrs(1, 1, pad, 1), []string{"x", "f", "g"}, "y"}
				try(in[:3], []sizedStep{conv})
				try(in[:3], []sizedStep{conv, {"relu", nil, []string{"y"}, "z"}, {
					"reduce", plan.Attrs{plan.Ints("axes", []int{2, 3}), plan.BoolAttr("keep", true), plan.Str("kind", "mean")}, []string{"z"}, "m",
				}})
				try(in, []sizedStep{conv, {"batch_norm", plan.Attrs{plan.Float("eps", 1e-3)}, []string{"y", "p3", "p4", "p5", "p6"}, "z"}})
			}
		}
	})
	require.Positive(t, ran)
	require.Positive(t, refused)
}

// TestSizesAtBind tests what is refused at binding, and how: by the cause, at
// once, and the session continues.
func TestSizesAtBind(t *testing.T) {
	for name, c := range map[string]struct {
		plan  string
		sizes plan.Bindings
	}{
		"argmax of nothing":       {"argmax 2", plan.Bindings{"a": 2, "b": 3, "c": 0}},
		"maximum of nothing":      {"max 0", plan.Bindings{"a": 0, "b": 3, "c": 2}},
		"token of no vocabulary":  {"sample", plan.Bindings{"a": 2, "b": 0}},
		"slice beyond the axis":   {"slice", plan.Bindings{"a": 2, "b": 3, "c": 4, "d": 4}},
		"slice beyond a view":     {"slice of a slice", plan.Bindings{"a": 2, "b": 3, "c": 4, "d": 5}},
		"products that overflow":  {"add", plan.Bindings{"a": 1 << 31, "b": 1 << 31, "c": 1 << 31}},
		"empty with large others": {"add", plan.Bindings{"a": 0, "b": 1 << 40, "c": 1 << 40}},
		"negative":                {"relu", plan.Bindings{"a": -1, "b": 3, "c": 2}},
	} {
		t.Run(name, func(t *testing.T) {
			made := everySize()[c.plan]
			p, err := sizedPlan(made.in, made.steps)
			require.NoError(t, err)
			e, err := engine.New(fuzzOptions())
			require.NoError(t, err)
			defer func() { require.NoError(t, e.Close()) }()
			f, ok := prepareFuzzed(t, e, p, nil)
			require.True(t, ok)
			var bad, good []int
			for _, s := range p.Symbols() {
				bad, good = append(bad, c.sizes[s]), append(good, 1)
			}
			_, err = f.s.NewCall(f.prog, bad)
			require.ErrorIs(t, err, transport.ErrShape)
			require.NotErrorIs(t, err, transport.ErrInternal)
			call, err := f.s.NewCall(f.prog, good)
			require.NoError(t, err)
			call.Release()
			require.Zero(t, f.close(t))
		})
	}
}
