package lazy_test

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	lazygorgonia "github.com/genie-sdk/go/lazy/gorgonia"
	"github.com/genie-sdk/go/transport/plan"
)

// TestSymbolicShapes captures every operator on symbolic dimensions.
func TestSymbolicShapes(t *testing.T) {
	g := lazy.NewGraph("shapes")
	x := g.Input("x", lazy.F32, "b", "s", 12)
	y := g.Input("y", lazy.F32, "b", "past", 12)
	ids := g.Input("ids", lazy.I64, "b", "s")
	cond := g.Input("cond", lazy.Bool, "s", 1)
	img := g.Input("img", lazy.F32, "b", 4, 8, 8)
	start := g.Input("start", lazy.I32, "b")
	param := func(dt plan.DType, name string) *lazy.Tensor { return g.Input(name, dt, "b") }
	vec := func(n int) *lazy.Tensor { return g.Const(make([]float32, n), n) }
	s := lazy.Dim("s")
	scores := lazy.MatMul(x, y, lazy.TransB)
	values, indices := lazy.TopK(x, 3)
	cut := lazy.Split(x, 3, -1)
	for _, c := range []struct {
		name string
		got  *lazy.Tensor
		want string
	}{
		{"matmul", scores, "f32[b, s, past]"},
		{"linear", lazy.Linear(x, g.Const(make([]float32, 24), 12, 2), vec(2)), "f32[b, s, 2]"},
		{"add", lazy.Add(x, vec(12)), "f32[b, s, 12]"},
		{"sub", lazy.Sub(vec(12), x), "f32[b, s, 12]"},
		{"mul", lazy.Mul(x, lazy.Reshape(lazy.Mean(x, 2), "b", "s", 1)), "f32[b, s, 12]"},
		{"div", lazy.Div(x, x), "f32[b, s, 12]"},
		{"scale", lazy.Scale(x, 2), "f32[b, s, 12]"},
		{"gelu", lazy.GELU(x), "f32[b, s, 12]"},
		{"gelu tanh", lazy.GELUTanh(x), "f32[b, s, 12]"},
		{"quick gelu", lazy.QuickGELU(x), "f32[b, s, 12]"},
		{"exp", lazy.Exp(x), "f32[b, s, 12]"},
		{"sqrt", lazy.Sqrt(x), "f32[b, s, 12]"},
		{"equal", lazy.Equal(x, x), "bool[b, s, 12]"},
		{"expand", lazy.Expand(x, "n", "b", "s", 12), "f32[n, b, s, 12]"},
		{"relu", lazy.ReLU(x), "f32[b, s, 12]"},
		{"tanh", lazy.Tanh(x), "f32[b, s, 12]"},
		{"softmax", lazy.Softmax(x, 1), "f32[b, s, 12]"},
		{"layer norm alone", lazy.LayerNorm(x, nil, nil, 1e-5), "f32[b, s, 12]"},
		{"layer norm gamma", lazy.LayerNorm(x, vec(12), nil, 1e-5), "f32[b, s, 12]"},
		{"layer norm beta", lazy.LayerNorm(x, nil, vec(12), 1e-5), "f32[b, s, 12]"},
		{"rms norm", lazy.RMSNorm(x, vec(12), 1e-5), "f32[b, s, 12]"},
		{"rms norm alone", lazy.RMSNorm(x, nil, 1e-5), "f32[b, s, 12]"},
		{"rms norm plus one", lazy.RMSNormPlusOne(x, vec(12), 1e-5), "f32[b, s, 12]"},
		{"log softmax", lazy.LogSoftmax(x, -1), "f32[b, s, 12]"},
		{"rope", lazy.RoPE(x, vec(6), vec(6), lazy.RoPEOptions{}), "f32[b, s, 12]"},
		{"rope of some", lazy.RoPE(x, vec(2), vec(2), lazy.RoPEOptions{Interleaved: true, Dims: 4}), "f32[b, s, 12]"},
		{"attention", lazy.Attention(x, x, x, lazy.AttentionOptions{Causal: true}), "f32[b, s, 12]"},
		{"attention masked", lazy.Attention(x, x, x, lazy.AttentionOptions{Scale: 2, Softcap: 3, Mask: vec(1)}), "f32[b, s, 12]"},
		{"linear without bias", lazy.Linear(x, lazy.Expand(vec(12), 12, 12), nil), "f32[b, s, 12]"},
		{"layer norm", lazy.LayerNorm(x, vec(12), vec(12), 1e-5), "f32[b, s, 12]"},
		{"embedding", lazy.Embedding(g.Const(make([]float32, 20), 5, 4), ids), "f32[b, s, 4]"},
		{"reshape", lazy.Reshape(x, "b", "s", 3, 4), "f32[b, s, 3, 4]"},
		{"reshape by dims", lazy.Reshape(x, x.Dim(0).Mul(x.Dim(1)), -1), "f32[b*s, 12]"},
		{"reshape rest", lazy.Reshape(x, -1, 4), "f32[3*b*s, 4]"},
		{"transpose", lazy.Transpose(x, 2, 0, 1), "f32[12, b, s]"},
		{"slice", lazy.Slice(x, 1, s.Sub(plan.C(1)), s), "f32[b, 1, 12]"},
		{"slice n", lazy.SliceN(x, -1, 3, 5), "f32[b, s, 2]"},
		{"last", lazy.Last(x, 1), "f32[b, 12]"},
		{"last of a negative axis", lazy.Last(x, -2), "f32[b, 12]"},
		{"split", cut[2], "f32[b, s, 4]"},
		{"concat", lazy.Concat(1, y, x), "f32[b, past+s, 12]"},
		{"causal mask", lazy.CausalMask(scores, nil), "f32[b, s, past]"},
		{"padded mask", lazy.CausalMask(scores, start), "f32[b, s, past]"},
		{"where", lazy.Where(cond, x, vec(12)), "f32[b, s, 12]"},
		{"argmax", lazy.ArgMax(x, -1), "i32[b, s]"},
		{"topk", values, "f32[b, s, 3]"},
		{"topk indices", indices, "i32[b, s, 3]"},
		{"sample", lazy.Sample(lazy.Last(x, 1), lazy.Sampling{
			Temperature: param(lazy.F32, "t"), TopP: param(lazy.F32, "p"), TopK: param(lazy.I32, "k"),
			Seed: param(lazy.I64, "seed"), Counter: param(lazy.I64, "n"),
		}), "i32[b]"},
		{"cast", lazy.Cast(ids, lazy.F32), "f32[b, s]"},
		{"sum", lazy.Sum(x, 0, -1), "f32[s]"},
		{"sum of all", lazy.Sum(x), "f32[]"},
		{"mean", lazy.Mean(x, 1), "f32[b, 12]"},
		{"max", lazy.Max(x, 1), "f32[b, 12]"},
		{"identity", lazy.Identity(cond), "bool[s, 1]"},
		{"write rows", lazy.WriteRows(y, x, g.Input("pos", lazy.I32, 1), 1), "f32[b, past, 12]"},
		{"conv", lazy.Conv2D(img, g.Const(make([]float32, 8*2*9), 8, 2, 3, 3), vec(8), lazy.Conv{Groups: 2, Pad: [2]int{1, 1}}), "f32[b, 8, 8, 8]"},
		{"pool", lazy.MaxPool2D(img, [2]int{2, 2}, [2]int{2, 2}, [2]int{}), "f32[b, 4, 4, 4]"},
		{"batch norm", lazy.BatchNorm(img, vec(4), vec(4), vec(4), vec(4), 1e-5), "f32[b, 4, 8, 8]"},
	} {
		require.NoError(t, c.got.Err(), c.name)
		require.Equal(t, c.want, c.got.Spec().String(), c.name)
		require.NotNil(t, lazygorgonia.Node(c.got), c.name)
		require.Same(t, g, c.got.Graph())
	}
	require.NoError(t, g.Err())
	for i, x := range g.Tensors() {
		require.Equal(t, i, x.ID())
		require.Equal(t, len(x.Shape()), lazygorgonia.Node(x).Dims(), x.String())
		for _, in := range x.In() {
			require.Less(t, in.ID(), i, "order of capture is topological")
		}
	}
}

// here is the caller's line.
func here() int {
	var pc [1]uintptr
	runtime.Callers(2, pc[:])
	f, _ := runtime.CallersFrames(pc[:]).Next()
	return f.Line
}

func TestErrorsStick(t *testing.T) {
	g := lazy.NewGraph("wrong")
	x := g.Input("x", lazy.F32, "b", 3)
	bad, line := lazy.MatMul(x, x), here()
	require.ErrorIs(t, bad.Err(), lazy.ErrShape)
	require.ErrorIs(t, bad.Err(), lazy.ErrCapture)
	var ce *lazy.CaptureError
	require.ErrorAs(t, bad.Err(), &ce)
	require.Equal(t, "matmul", ce.Op)
	require.Equal(t, "capture_test.go", filepath.Base(ce.File))
	require.Equal(t, line, ce.Line)
	require.Contains(t, bad.Err().Error(), fmt.Sprintf("capture_test.go:%d: matmul(f32[b, 3], f32[b, 3])", line))
	after := lazy.Softmax(lazy.Add(lazy.Linear(bad, x, x), x), -1)
	require.Equal(t, bad.Err(), after.Err(), "the first error comes through")
	require.Equal(t, bad.Err(), g.Output("y", after).Err())
	require.Equal(t, bad.Err(), g.Err())
	_, err := lazygorgonia.Instantiate(g, nil)
	require.Equal(t, bad.Err(), err)
	require.Nil(t, lazygorgonia.Node(after))
	require.Equal(t, -1, after.ID())
	require.Len(t, g.Tensors(), 1)
	lazy.Tanh(nil)
	require.Equal(t, bad.Err(), g.Err(), "the first error of the graph stays")
}

// TestNoPanics calls everything with what a confused program would pass.
func TestNoPanics(t *testing.T) {
	g := lazy.NewGraph("calls")
	other := lazy.NewGraph("other").Input("x", lazy.F32, 2, 2)
	x := g.Input("x", lazy.F32, 2, 2)
	cond := g.Input("c", lazy.Bool, 2, 2)
	failed := lazy.Bias(x, x)
	one := func(f func(*lazy.Tensor) *lazy.Tensor) func(...*lazy.Tensor) []*lazy.Tensor {
		return func(a ...*lazy.Tensor) []*lazy.Tensor { return []*lazy.Tensor{f(a[0])} }
	}
	two := func(f func(a, b *lazy.Tensor) *lazy.Tensor) func(...*lazy.Tensor) []*lazy.Tensor {
		return func(a ...*lazy.Tensor) []*lazy.Tensor { return []*lazy.Tensor{f(a[0], x), f(x, a[0])} }
	}
	for name, f := range map[string]func(...*lazy.Tensor) []*lazy.Tensor{
		"matmul": two(func(a, b *lazy.Tensor) *lazy.Tensor { return lazy.MatMul(a, b) }),
		"linear": two(func(a, b *lazy.Tensor) *lazy.Tensor { return lazy.Linear(a, b, a) }),
		"add":    two(lazy.Add), "sub": two(lazy.Sub), "mul": two(lazy.Mul), "div": two(lazy.Div), "bias": two(lazy.Bias),
		"scale": one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Scale(a, 2) }),
		"gelu":  one(lazy.GELU), "gelu tanh": one(lazy.GELUTanh), "relu": one(lazy.ReLU), "tanh": one(lazy.Tanh), "identity": one(lazy.Identity),
		"quick gelu": one(lazy.QuickGELU), "exp": one(lazy.Exp), "sqrt": one(lazy.Sqrt), "equal": two(lazy.Equal), "pick": two(lazy.Pick),
		"expand":            one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Expand(a, 3, 2, 2) }),
		"softmax":           one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Softmax(a, 0) }),
		"log softmax":       one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.LogSoftmax(a, 0) }),
		"rms norm":          one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.RMSNorm(a, nil, 0) }),
		"rms norm plus one": one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.RMSNormPlusOne(a, nil, 0) }),
		"rope":              one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.RoPE(a, x, nil, lazy.RoPEOptions{}) }),
		"attention":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Attention(a, a, a, lazy.AttentionOptions{}) }),
		"attention values": one(func(a *lazy.Tensor) *lazy.Tensor {
			return lazy.Attention(x, x, a, lazy.AttentionOptions{Mask: cond, Start: a})
		}),
		"linear alone": one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Linear(a, a, nil) }),
		"layer norm":   one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.LayerNorm(a, a, nil, 0) }),
		"embedding":    two(lazy.Embedding),
		"reshape":      one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Reshape(a, -1, 2) }),
		"transpose":    one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Transpose(a, 1, 0) }),
		"slice":        one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.SliceN(a, 0, 0, 1) }),
		"last":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Last(a, 0) }),
		"split":        func(a ...*lazy.Tensor) []*lazy.Tensor { return lazy.Split(a[0], 2, 0) },
		"concat":       func(a ...*lazy.Tensor) []*lazy.Tensor { return []*lazy.Tensor{lazy.Concat(0, a[0], x)} },
		"mask":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.CausalMask(a, nil) }),
		"where":        one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Where(cond, a, x) }),
		"argmax":       one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.ArgMax(a, 0) }),
		"topk":         func(a ...*lazy.Tensor) []*lazy.Tensor { v, i := lazy.TopK(a[0], 1); return []*lazy.Tensor{v, i} },
		"sample":       one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Sample(a, lazy.Sampling{}) }),
		"cast":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Cast(a, lazy.I32) }),
		"sum":          one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Sum(a) }),
		"mean":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Mean(a, 0) }),
		"max":          one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Max(a, 0) }),
		"write rows":   one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.WriteRows(a, nil, x, 0) }),
		"conv":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.Conv2D(a, a, nil, lazy.Conv{}) }),
		"pool":         one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.MaxPool2D(a, [2]int{}, [2]int{}, [2]int{}) }),
		"batch norm":   one(func(a *lazy.Tensor) *lazy.Tensor { return lazy.BatchNorm(a, a, a, a, nil, 0) }),
	} {
		for what, arg := range map[string]*lazy.Tensor{"nil": nil, "failed": failed} {
			for _, y := range f(arg) {
				require.Error(t, y.Err(), "%s of a %s tensor", name, what)
				require.NotEmpty(t, y.String())
			}
		}
		for _, y := range f(other) { // an operator of one input belongs to the other graph
			if y.Err() == nil {
				require.NotSame(t, g, y.Graph(), name)
			}
		}
	}
	require.ErrorIs(t, lazy.Add(x, other).Err(), lazy.ErrCapture)
	require.Error(t, lazy.Apply(op.Concat{}).Err(), "no inputs at all")
	require.Empty(t, lazy.Split(x, 0, 0))
	require.Empty(t, lazy.Split(nil, -1, 0))
	require.Error(t, lazy.Split(x, 2, 7)[0].Err())
	require.Error(t, lazy.Last(x, 9).Err())
	require.Error(t, lazy.Reshape(x, -1, -1).Err())
	require.Error(t, lazy.Reshape(x, -1, 0).Err())
	require.Error(t, lazy.Reshape(x, []int{2}, 2).Err())
	require.Error(t, lazy.Reshape(x, 2, 2, 1, 1, 1, 1, 1, 1, 1).Err())
	require.Error(t, lazy.Transpose(x, 0, 0).Err())
}

// TestNilTensor asks the nil tensor everything.
func TestNilTensor(t *testing.T) {
	var x *lazy.Tensor
	require.ErrorIs(t, x.Err(), lazy.ErrCapture)
	require.Nil(t, x.Graph())
	require.Nil(t, lazygorgonia.Node(x))
	require.Nil(t, x.Op())
	require.Empty(t, x.In())
	require.Empty(t, x.Name())
	require.Equal(t, -1, x.ID())
	require.Equal(t, plan.Spec{}, x.Spec())
	require.Equal(t, plan.Invalid, x.DType())
	require.Empty(t, x.Shape())
	require.True(t, x.Dim(0).Is(0))
	require.Empty(t, x.ConstData())
	_, storage := x.WeightRef()
	require.Equal(t, plan.Invalid, storage)
	require.Equal(t, "<nil tensor>", x.String())
	_ = x.Kind()
}

func TestLeafErrors(t *testing.T) {
	long := strings.Repeat("x", plan.MaxNameLen+1)
	for name, c := range map[string]struct {
		f    func(g *lazy.Graph) *lazy.Tensor
		want error
	}{
		"equal names":       {func(g *lazy.Graph) *lazy.Tensor { g.Input("x", lazy.F32, 2); return g.Input("x", lazy.F32, 2) }, lazy.ErrCapture},
		"no name":           {func(g *lazy.Graph) *lazy.Tensor { return g.Input("", lazy.F32) }, lazy.ErrCapture},
		"long name":         {func(g *lazy.Graph) *lazy.Tensor { return g.Input(long, lazy.F32) }, lazy.ErrCapture},
		"negative":          {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, -1) }, lazy.ErrShape},
		"huge":              {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, 1<<62) }, lazy.ErrShape},
		"float dimension":   {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, 2.5) }, lazy.ErrShape},
		"bad symbol":        {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, "a b") }, lazy.ErrShape},
		"bad symbol in dim": {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, lazy.Dim("a b")) }, lazy.ErrShape},
		"rank":              {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", lazy.F32, 1, 1, 1, 1, 1, 1, 1, 1, 1) }, lazy.ErrShape},
		"storage type":      {func(g *lazy.Graph) *lazy.Tensor { return g.Input("x", plan.BF16, 1) }, lazy.ErrDType},
		"weight size":       {func(g *lazy.Graph) *lazy.Tensor { return g.WeightF32("w", []float32{1}, 2) }, lazy.ErrShape},
		"weight negative":   {func(g *lazy.Graph) *lazy.Tensor { return g.WeightF32("w", []float32{1}, -1, -1) }, lazy.ErrShape},
		"constant size":     {func(g *lazy.Graph) *lazy.Tensor { return g.Const([]float32{1}, 2) }, lazy.ErrShape},
		"constant negative": {func(g *lazy.Graph) *lazy.Tensor { return g.Const([]float32{1}, -1, -1) }, lazy.ErrShape},
		"constant overflow": {func(g *lazy.Graph) *lazy.Tensor { return g.ConstInt(nil, 1<<31, 1<<31, 4) }, lazy.ErrShape},
		"constant too big":  {func(g *lazy.Graph) *lazy.Tensor { return g.Const(make([]float32, 5<<20), 5<<20) }, lazy.ErrShape},
		"output twice": {func(g *lazy.Graph) *lazy.Tensor {
			x := g.Input("x", lazy.F32)
			g.Output("y", x)
			return g.Output("y", x)
		}, lazy.ErrCapture},
		"output without name": {func(g *lazy.Graph) *lazy.Tensor { return g.Output("", g.Input("x", lazy.F32)) }, lazy.ErrCapture},
		"output of nil":       {func(g *lazy.Graph) *lazy.Tensor { return g.Output("y", nil) }, lazy.ErrCapture},
	} {
		t.Run(name, func(t *testing.T) {
			g := lazy.NewGraph("leaf")
			x := c.f(g)
			require.ErrorIs(t, x.Err(), c.want)
			require.Equal(t, x.Err(), g.Err())
			require.Contains(t, x.Err().Error(), "capture_test.go:")
		})
	}
}

func TestCarryErrors(t *testing.T) {
	for name, f := range map[string]func(g *lazy.Graph, in *lazy.Tensor){
		"dtype":     func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(in, g.Input("i", lazy.I32, 2, "n")) },
		"rank":      func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(in, g.Input("r", lazy.F32, 2)) },
		"fixed":     func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(in, lazy.Concat(0, in, in)) },
		"no input":  func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(lazy.Tanh(in), in) },
		"twice":     func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(in, in); g.Carry(in, in) },
		"nil":       func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(nil, in) },
		"nil value": func(g *lazy.Graph, in *lazy.Tensor) { g.Carry(in, nil) },
	} {
		g := lazy.NewGraph("carry")
		f(g, g.Input("x", lazy.F32, 2, "n"))
		require.Error(t, g.Err(), name)
	}
	g := lazy.NewGraph("carry")
	in := g.Input("x", lazy.F32, 2, "n")
	g.Carry(in, lazy.Concat(1, in, g.Input("row", lazy.F32, 2, 1)))
	require.NoError(t, g.Err())
	require.Len(t, g.Carries(), 1)
}

func TestFingerprint(t *testing.T) {
	fingerprint := func(f func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor) string {
		g := lazy.NewGraph("f")
		g.Output("y", f(g, g.Input("x", lazy.F32, 2, 600)))
		require.NoError(t, g.Err())
		return g.Fingerprint()
	}
	seen := map[string]string{}
	for name, f := range map[string]func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor{
		"slice":       func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.SliceN(x, 1, 0, 256) },
		"other slice": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.SliceN(x, 1, 256, 512) },
		"const":       func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Scale(x, 2) },
		"other const": func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.Scale(x, 3) },
		"gelu":        func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.GELU(x) },
		"gelu tanh":   func(_ *lazy.Graph, x *lazy.Tensor) *lazy.Tensor { return lazy.GELUTanh(x) },
		"weight": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(x, g.WeightF32("w", []float32{1}, 1))
		},
		"new weight": func(g *lazy.Graph, x *lazy.Tensor) *lazy.Tensor {
			return lazy.Add(x, g.WeightF32("w", []float32{2}, 1))
		},
	} {
		fp := fingerprint(f)
		require.Equal(t, fp, fingerprint(f), "equal programs")
		require.Empty(t, seen[fp], "%s is %s", name, seen[fp])
		seen[fp] = name
	}
}
