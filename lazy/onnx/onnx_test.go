package onnx_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	. "github.com/genie-sdk/go/internal/onnxfile/onnxtest" //nolint:revive // the words that models are written in
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	float  = 1
	int64s = 7
)

func list(s ...string) []string { return s }

func ints(name string, v ...int64) Field {
	return Initializer(Tensor(name, int64s, []int{len(v)}, Ints(v...)))
}

// read imports a model, which has to succeed.
func read(t *testing.T, model []byte, opts ...onnx.Option) *onnx.Program {
	t.Helper()
	p, err := onnx.Read(t.Context(), model, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// run computes the output y.
func run(t *testing.T, p *onnx.Program, feed genie.Feed) ([]float32, []int) {
	t.Helper()
	c, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer c.Close()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	out, err := s.Run(t.Context(), feed, p.Output("y"))
	require.NoError(t, err)
	v, err := out[0].Float32s(t.Context())
	require.NoError(t, err)
	return v, out[0].Shape()
}

// heads is how exporters split heads: the shape is made of the input's own sizes.
func heads() []byte {
	return Model(17,
		Input("x", float, "batch", "seq", 8), Output("y", float, nil, nil, nil, nil),
		Node("Shape", list("x"), list("shape")),
		ints("zero", 0), ints("one", 1), ints("axis", 0), ints("heads", 2), ints("free", -1),
		Node("Gather", list("shape", "zero"), list("b")), Node("Gather", list("shape", "one"), list("s")),
		Node("Concat", list("b", "s", "heads", "free"), list("to"), AttrInt("axis", 0)),
		Node("Reshape", list("x", "to"), list("split")),
		Node("Transpose", list("split"), list("y"), AttrInts("perm", 0, 2, 1, 3)),
	)
}

func TestShapesStaySymbolic(t *testing.T) {
	p := read(t, heads())
	require.Equal(t, "[batch, 2, seq, 4]", p.Output("y").Shape().String())
	_, shape := run(t, p, genie.Feed{"x": genie.Float32s(make([]float32, 3*5*8), 3, 5, 8)})
	require.Equal(t, []int{3, 2, 5, 4}, shape)

	p = read(t, heads(), onnx.WithDim("batch", plan.C(1)), onnx.WithDim("seq", plan.Sym("n")))
	require.Equal(t, "[1, 2, n, 4]", p.Output("y").Shape().String())
	p = read(t, heads(), onnx.WithInput("x", 2, "len", 8))
	require.Equal(t, "[2, 2, len, 4]", p.Output("y").Shape().String())
}

// TestShapeArithmetic holds chains of operators on sizes with symbols.
func TestShapeArithmetic(t *testing.T) {
	x := Input("x", float, "n", 6)
	sizes := []Field{Node("Shape", list("x"), list("shape")), ints("i0", 0), ints("i1", 1), ints("two", 2), ints("end", 1<<62), ints("minus", -1), ints("six", 6)}
	tests := []struct {
		name, want string
		nodes      []Field
	}{
		{"twice the size", "[2*n]", []Field{
			Node("Slice", list("shape", "i0", "i1"), list("n")), Node("Mul", list("n", "two"), list("m")),
			Node("ConstantOfShape", list("m"), list("y")),
		}},
		{"quotient that is exact", "[3*n]", []Field{
			Node("ReduceProd", list("shape"), list("all"), AttrInt("keepdims", 1)), Node("Div", list("all", "two"), list("m")),
			Node("ConstantOfShape", list("m"), list("y")),
		}},
		{"where a size is not -1", "[n, 6]", []Field{
			Node("Equal", list("shape", "minus"), list("free")), Node("Where", list("free", "i1", "shape"), list("m")),
			Node("ConstantOfShape", list("m"), list("y")),
		}},
		{"through float and back", "[n, 6]", []Field{
			Node("Cast", list("shape"), list("f"), AttrInt("to", float)), Node("Floor", list("f"), list("g")),
			Node("Cast", list("g"), list("m"), AttrInt("to", int64s)), Node("ConstantOfShape", list("m"), list("y")),
		}},
		{"slice to the size of another axis", "[n, 6]", []Field{
			Node("Slice", list("x", "i0", "end", "i1"), list("z")), Node("Identity", list("z"), list("y")),
		}},
		{"maximum with a smaller size", "[n+1]", []Field{
			Node("Gather", list("shape", "i0"), list("n")), Node("Add", list("n", "i1"), list("m")), Node("Max", list("m", "i1"), list("k")),
			Node("ConstantOfShape", list("k"), list("y")),
		}},
		{"flattened", "[6*n]", []Field{Node("Reshape", list("x", "minus"), list("y"))}},
		{"range of a size", "[n]", []Field{
			Node("Gather", list("shape", "i0"), list("v")), Node("Squeeze", list("v"), list("s")), Node("Squeeze", list("i0"), list("z")), Node("Squeeze", list("i1"), list("o")),
			Node("Range", list("z", "s", "o"), list("r")), Node("Cast", list("r"), list("y"), AttrInt("to", float)),
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := read(t, Model(17, append(append([]Field{x, Output("y", float)}, sizes...), tt.nodes...)...))
			require.Equal(t, tt.want, p.Output("y").Shape().String())
			_, shape := run(t, p, genie.Feed{"x": genie.Float32s(make([]float32, 24), 4, 6)})
			want, err := p.Output("y").Shape().Eval(plan.Bindings{"n": 4})
			require.NoError(t, err)
			require.Equal(t, want, shape)
		})
	}
}

// TestSizeAsData divides by a size that is known only when the program runs.
func TestSizeAsData(t *testing.T) {
	p := read(t, Model(17, Input("x", float, "n"), Output("y", float, "n"),
		Node("Shape", list("x"), list("s")), Node("Cast", list("s"), list("f"), AttrInt("to", float)), Node("Div", list("x", "f"), list("y"))))
	v, _ := run(t, p, genie.Feed{"x": genie.Float32s([]float32{4, 8}, 2)})
	require.Equal(t, []float32{2, 4}, v)
	v, _ = run(t, p, genie.Feed{"x": genie.Float32s([]float32{4, 8, 12, 16}, 4)})
	require.Equal(t, []float32{1, 2, 3, 4}, v)
}

func TestRefusesByName(t *testing.T) {
	_, err := onnx.Read(t.Context(), Model(17,
		Input("x", float, 2), Output("y", float, 2), Output("z", float, 2),
		Node("Relu", list("x"), list("a")), Node("NoSuchThing", list("a"), list("b")), Node("Sigmoid", list("b"), list("c")),
		Node("AnotherThing", list("c"), list("y"), Domain("com.example")), Node("Unique", list("x"), list("z")),
	))
	var refused *onnx.RefusedError
	require.ErrorAs(t, err, &refused)
	require.ErrorIs(t, err, onnx.ErrUnsupported)
	require.ErrorIs(t, err, lazy.ErrCapture)
	var names []string
	for _, n := range refused.Nodes {
		names = append(names, n.Domain+"/"+n.Op+"/"+n.Node)
	}
	require.Equal(t, []string{"/NoSuchThing/b", "com.example/AnotherThing/y", "/Unique/z"}, names, "all at once; not Sigmoid, which only depends on one")
	require.NotContains(t, err.Error(), ".go:", "no places in this package")
}

func TestDataDependentShape(t *testing.T) {
	m := Model(17, Input("x", float, 2, 3), Input("to", int64s, 2), Output("y", float, nil, nil), Node("Reshape", list("x", "to"), list("y")))
	_, err := onnx.Read(t.Context(), m)
	require.ErrorIs(t, err, onnx.ErrDataDependent)
	require.ErrorContains(t, err, `"to"`)
	to := transport.Tensor{DType: plan.I64, Shape: []int{2}, Data: Ints(3, -1)}
	x := transport.Tensor{DType: plan.F32, Shape: []int{2, 3}, Data: Floats(1, 2, 3, 4, 5, 6)}
	p := read(t, m, onnx.WithShapeValue("to", to), onnx.WithShapeValue("x", x))
	require.Equal(t, []string{"to"}, p.Fixed(), "x stays an input: no shape depends on it")
	require.Len(t, p.Inputs(), 1)
	_, shape := run(t, p, genie.Feed{"x": genie.FromTensor(x)})
	require.Equal(t, []int{3, 2}, shape)
}

func TestWeightsAndInputs(t *testing.T) {
	m := Model(17, Input("x", float, 2), Input("w", float, 2), Output("y", float, 2),
		Initializer(Tensor("w", float, []int{2}, Floats(10, 20))), Node("Add", list("x", "w"), list("y")))
	x := genie.Float32s([]float32{1, 2}, 2)
	v, _ := run(t, read(t, m), genie.Feed{"x": x})
	require.Equal(t, []float32{11, 22}, v, "an initialiser is a weight, also where it is listed as an input")
	v, _ = run(t, read(t, m, onnx.WithOverride("w")), genie.Feed{"x": x, "w": genie.Float32s([]float32{3, 4}, 2)})
	require.Equal(t, []float32{4, 6}, v)
	given := transport.Tensor{DType: plan.F32, Shape: []int{2}, Data: Floats(5, 6)}
	p := read(t, m, onnx.WithValue("x", given))
	require.Empty(t, p.Inputs())
	v, _ = run(t, p, genie.Feed{})
	require.Equal(t, []float32{15, 26}, v)
	_, err := onnx.Read(t.Context(), m, onnx.WithValue("nothing", given))
	require.ErrorIs(t, err, onnx.ErrOption)
}

// TestFunctions inlines functions with their attributes and left-out inputs.
func TestFunctions(t *testing.T) {
	f := Function("d", "scaled", list("a", "b"), list("c"),
		FunctionNode("LeakyRelu", list("a"), list("l"), AttrRef("alpha", 1, "slope")),
		FunctionNode("Clip", list("l", "b"), list("c")), Opset("", 17))
	m := append(Model(17, Input("x", float, 3), Output("y", float, 3),
		Node("scaled", list("x"), list("y"), Domain("d"), AttrFloat("slope", 0.5))), Message(Opset("d", 1), f)...)
	v, _ := run(t, read(t, m), genie.Feed{"x": genie.Float32s([]float32{-4, 0, 4}, 3)})
	require.Equal(t, []float32{-2, 0, 4}, v)
}

// TestHostileGrowth holds what a small file may become.
func TestHostileGrowth(t *testing.T) {
	self := Function("d", "f", list("a"), list("b"), FunctionNode("f", list("a"), list("b"), Domain("d")))
	endless := append(Model(17, Input("x", float, 1), Output("y", float, 1), Node("f", list("x"), list("y"), Domain("d"))), Message(Opset("d", 1), self)...)
	_, err := onnx.Read(t.Context(), endless)
	require.ErrorIs(t, err, onnx.ErrMalformed)
	require.ErrorContains(t, err, "deep")

	// Twenty functions that each call the one before twice: a million nodes.
	doubling := Model(17, Input("x", float, 1), Output("y", float, 1), Node("f20", list("x"), list("y"), Domain("d")))
	doubling = append(doubling, Message(Opset("d", 1), Function("d", "f0", list("a"), list("b"), FunctionNode("Relu", list("a"), list("b"))))...)
	for i := 1; i <= 20; i++ {
		call := fmt.Sprintf("f%d", i-1)
		doubling = append(doubling, Function("d", fmt.Sprintf("f%d", i), list("a"), list("c"),
			FunctionNode(call, list("a"), list("b"), Domain("d")), FunctionNode(call, list("b"), list("c"), Domain("d")))...)
	}
	_, err = onnx.Read(t.Context(), doubling)
	require.ErrorIs(t, err, onnx.ErrMalformed)
	require.ErrorContains(t, err, "nodes")

	_, err = onnx.Read(t.Context(), Model(17, Output("y", float), ints("n", 1<<20, 1<<20), Node("ConstantOfShape", list("n"), list("y"))))
	require.ErrorIs(t, err, onnx.ErrUnsupported, "four terabytes of zeros")

	_, err = onnx.Read(t.Context(), Model(17, Output("y", float), ints("n", 1<<40), ints("zero", 0), ints("one", 1),
		Node("Squeeze", list("n"), list("a")), Node("Squeeze", list("zero"), list("b")), Node("Squeeze", list("one"), list("c")),
		Node("Range", list("b", "a", "c"), list("r")), Node("Cast", list("r"), list("y"), AttrInt("to", float)), Node("NoSuchThing", list("y"), list("z"))))
	require.ErrorIs(t, err, onnx.ErrUnsupported)
}

func TestControlFlow(t *testing.T) {
	branch := func(op string) []Field { return []Field{Node(op, list("x"), list("r")), Output("r", float, 2)} }
	m := Model(17, Input("x", float, 2), Output("y", float, 2), Initializer(Tensor("c", 9, nil, []byte{1})),
		Node("If", list("c"), list("y"), AttrGraph("then_branch", branch("Neg")...), AttrGraph("else_branch", branch("NoSuchThing")...)))
	x := genie.Feed{"x": genie.Float32s([]float32{1, -2}, 2)}
	v, _ := run(t, read(t, m), x)
	require.Equal(t, []float32{-1, 2}, v, "the branch that is not taken is not looked at")

	body := AttrGraph("body", Input("i", int64s), Input("go", 9), Input("a", float, 2),
		Node("Identity", list("go"), list("on")), Node("Add", list("a", "x"), list("b")),
		Output("on", 9), Output("b", float, 2), Output("b", float, 2))
	loop := Model(17, Input("x", float, 2), Output("y", float, 3, 2), Initializer(Tensor("n", int64s, nil, Ints(3))),
		Node("Loop", list("n", "", "x"), list("", "y"), body))
	v, shape := run(t, read(t, loop), x)
	require.Equal(t, []int{3, 2}, shape)
	require.Equal(t, []float32{2, -4, 3, -6, 4, -8}, v)

	data := Model(17, Input("x", float, 2), Input("n", int64s), Output("y", float, nil, 2), Node("Loop", list("n", "", "x"), list("", "y"), body))
	_, err := onnx.Read(t.Context(), data)
	require.ErrorIs(t, err, onnx.ErrDataDependent)
}

// TestExternalWeights runs a model whose weights are in a file beside it.
func TestExternalWeights(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "w"), Floats(0, 3, 4), 0o600))
	m := Model(17, Input("x", float, 2), Output("y", float, 2),
		Initializer(External("w", float, []int{2}, "location", "w", "offset", "4")), Node("Mul", list("x", "w"), list("y")))
	path := filepath.Join(dir, "m.onnx")
	require.NoError(t, os.WriteFile(path, m, 0o600))
	p, err := onnx.Open(t.Context(), path)
	require.NoError(t, err)
	defer p.Close()
	v, _ := run(t, p, genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2)})
	require.Equal(t, []float32{3, 8}, v)

	require.NoError(t, os.Remove(filepath.Join(dir, "w")))
	_, err = onnx.Open(t.Context(), path)
	require.ErrorIs(t, err, os.ErrNotExist)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = onnx.Open(ended, path)
	require.Error(t, err)
}

// decoder is one layer of attention over a cache, with the names of Optimum.
func decoder() []byte {
	cache := func(name string) Field { return Input("past_key_values.0."+name, float, "batch", 1, "past", 2) }
	present := func(name string) Field { return Output("present.0."+name, float, "batch", 1, nil, 2) }
	cat := func(name string) Field {
		return Node("Concat", list("past_key_values.0."+name, "h"), list("present.0."+name), AttrInt("axis", 2))
	}
	return Model(17, Input("x", float, "batch", "seq", 2), cache("key"), cache("value"),
		Output("y", float, "batch", 1, "seq", 2), present("key"), present("value"),
		ints("one", 1), Node("Unsqueeze", list("x", "one"), list("h")), cat("key"), cat("value"),
		Node("Transpose", list("present.0.key"), list("k"), AttrInts("perm", 0, 1, 3, 2)),
		Node("MatMul", list("h", "k"), list("scores")), Node("Softmax", list("scores"), list("p")), Node("MatMul", list("p", "present.0.value"), list("y")))
}

func TestCarriedPairs(t *testing.T) {
	p := read(t, decoder())
	require.Len(t, p.Carries(), 2)
	srg, err := semantic.Analyze(p.Graph)
	require.NoError(t, err)
	require.Len(t, srg.Caches, 2, "found to be KV caches")
	require.Empty(t, read(t, decoder(), onnx.WithoutCarries()).Carries())
	require.Len(t, read(t, decoder(), onnx.WithoutCarries(), onnx.WithCarry("past_key_values.0.key", "present.0.key")).Carries(), 1)
	_, err = onnx.Read(t.Context(), decoder(), onnx.WithCarry("x", "nothing"))
	require.ErrorIs(t, err, onnx.ErrOption)

	// Two steps over the cache give the last rows of one run without one.
	c, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer c.Close()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	step := func(rows ...float32) []float32 {
		out, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s(rows, 1, len(rows)/2, 2)}, p.Output("y"))
		require.NoError(t, err)
		v, err := out[0].Float32s(t.Context())
		require.NoError(t, err)
		return v
	}
	step(1, 0.5, -1, 2)
	got := step(0.25, 3)
	require.NoError(t, s.Reset(t.Context()))
	want := step(1, 0.5, -1, 2, 0.25, 3)
	require.InDeltaSlice(t, want[4:], got, 1e-6)
}

func TestLongNames(t *testing.T) {
	long := strings.Repeat("layer/", 100)
	m := Model(17, Input("x", float, 2), Output("y", float, 2), Initializer(Tensor(long+"w", float, []int{2}, Floats(1, 2))),
		Initializer(Tensor(long+"v", float, []int{2}, Floats(3, 4))), Node("Add", list("x", long+"w"), list("z")), Node("Add", list("z", long+"v"), list("y")))
	v, _ := run(t, read(t, m), genie.Feed{"x": genie.Float32s([]float32{0, 0}, 2)})
	require.Equal(t, []float32{4, 6}, v)
}

// FuzzImport reads models of which a fuzzer changes bytes. Whatever they are, the
// answer is a program or one of the errors that Open promises.
func FuzzImport(f *testing.F) {
	f.Add(heads())
	f.Add(decoder())
	small, err := filepath.Glob(filepath.Join("testdata", "backend", "*", "*", "model.onnx"))
	require.NoError(f, err)
	for _, path := range small {
		b, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := onnx.Read(t.Context(), b)
		if err == nil {
			require.NoError(t, p.Err())
			require.NoError(t, p.Close())
			return
		}
		if !errors.Is(err, onnx.ErrMalformed) && !errors.Is(err, onnx.ErrUnsupported) {
			t.Fatal(err)
		}
	})
}
