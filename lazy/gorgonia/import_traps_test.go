package gorgonia_test

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/genie"
)

// importTrap is a program for which Gorgonia's own machine is wrong: want is
// computed apart from both.
type importTrap struct {
	name  string
	build func(b *graphBuilder) *gorgonia.Node
	want  []float32
	runs  int // of the machine before its value is read
}

var importTraps = []importTrap{
	{
		// The maximum is subtracted of all but the first element of a row and of
		// the first of the whole tensor.
		name: "softmax of a row far from the first",
		build: func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.SoftMax(b.given("x", []float32{0, 0, 500, 0}, 2, 2)))
		},
		want: []float32{0.5, 0.5, 1, 0},
	},
	{
		// The sum of a window is divided by the width of the image.
		name: "average pool",
		build: func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{1, 2, 3, 4, 5, 6}, 1, 1, 2, 3)
			return must(gorgonia.AveragePool2D(x, tensor.Shape{2, 2}, []int{0, 0}, []int{1, 1}))
		},
		want: []float32{(1 + 2 + 4 + 5) / 4., (2 + 3 + 5 + 6) / 4.},
	},
	{
		// A reduction over an axis that is neither of the first two nor the last
		// reads other elements.
		name: "sum over an inner axis",
		build: func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 1, 2, 3, 2)
			return must(gorgonia.Sum(x, 2))
		},
		want: []float32{0 + 2 + 4, 1 + 3 + 5, 6 + 8 + 10, 7 + 9 + 11},
	},
	{
		name: "maximum over an inner axis",
		build: func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 1, 2, 3, 2)
			return must(gorgonia.Max(x, 2))
		},
		want: []float32{4, 5, 10, 11},
	},
	{
		// The sum overwrites the memory of x, which the reshaped x shares and the
		// product still needs.
		name: "reshape and overwritten memory",
		build: func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{1, 2, 3, 4}, 4)
			square := must(gorgonia.Reshape(x, tensor.Shape{2, 2}))
			sum := must(gorgonia.Add(square, b.given("y", []float32{10, 20, 30, 40}, 2, 2)))
			return must(gorgonia.HadamardProd(must(gorgonia.Reshape(sum, tensor.Shape{4})), x))
		},
		want: []float32{11, 44, 99, 176},
	},
	{
		// Compiling takes leaves with one 32-bit hash for one.
		name: "leaves with equal hashes",
		build: func(b *graphBuilder) *gorgonia.Node {
			x, y := equalHashes()
			return must(gorgonia.Sub(b.given(x, []float32{5, 7}, 2), b.given(y, []float32{1, 2}, 2)))
		},
		want: []float32{4, 5},
	},
	{
		// From the second run on, the normalisation reads its own last result in
		// place of x.
		name: "batch normalisation, run twice",
		build: func(b *graphBuilder) *gorgonia.Node {
			x := b.given("x", []float32{1, 2, 3, 4}, 2, 2)
			y, _, _, op, err := gorgonia.BatchNorm(x, b.node("scale", []float32{1, 1}, 1, 2), b.node("bias", []float32{0, 0}, 1, 2), 0.9, 0)
			if err == nil {
				err = errors.Join(op.SetTraining(false), op.SetStats(vector(1, 2), vector(4, 0.25)))
			}
			return must(y, err)
		},
		want: []float32{0, 0, 1, 4},
		runs: 2,
	},
	{
		// x times (x >= 0) is NaN for minus infinity.
		name: "rectifier of an infinity",
		build: func(b *graphBuilder) *gorgonia.Node {
			return must(gorgonia.Rectify(b.given("x", []float32{float32(math.Inf(-1)), -1, 2}, 3)))
		},
		want: []float32{0, 0, 2},
	},
}

func vector(v ...float32) *tensor.Dense {
	return tensor.New(tensor.WithShape(len(v)), tensor.WithBacking(v))
}

// equalHashes are two names that give vectors of two elements one hash.
func equalHashes() (a, b string) {
	before := fmt.Sprintf("%v%v", gorgonia.TensorType{Dims: 1, Of: tensor.Float32}, tensor.Shape{2})
	hash := func(name string) uint32 { // as Node.WriteHash does it
		h := fnv.New32a()
		_, _ = h.Write([]byte(before + name + "\x00"))
		return h.Sum32()
	}
	seen := map[uint32]string{}
	for i := 0; ; i++ {
		name := fmt.Sprintf("leaf%d", i)
		if other, ok := seen[hash(name)]; ok {
			return other, name
		}
		seen[hash(name)] = name
	}
}

// TestImportTraps: where Gorgonia's machine is wrong, the imported program has
// the right value, which is written here from the definition of the operator. The
// test fails too when Gorgonia becomes right, so that the list stays true.
func TestImportTraps(t *testing.T) {
	s := session(t, "local:")
	for _, c := range importTraps {
		t.Run(c.name, func(t *testing.T) {
			b := newGraphBuilder()
			n := c.build(b)
			p := b.imported(t, gorgonia.Nodes{n})
			requireNear(t, c.want, numbers(t, outputsOf(t, s, p, b.feed)[0]))
			requireNear(t, c.want, numbers(t, outputsOf(t, s, p, b.feed)[0]), "the second run")
			m := gorgonia.NewTapeMachine(b.g)
			defer m.Close()
			for range max(c.runs, 1) {
				m.Reset()
				require.NoError(t, m.RunAll())
			}
			require.False(t, near(c.want, machineNumbers(t, n.Value())), "Gorgonia is right: %v", n.Value())
		})
	}
}

func near(a, b []float32) bool {
	for i, x := range a {
		if d := math.Abs(float64(x - b[i])); d > 1e-5 || d != d {
			return false
		}
	}
	return len(a) == len(b)
}

// TestImportUnrunnable imports what Gorgonia's machine does not compute at all.
func TestImportUnrunnable(t *testing.T) {
	s := session(t, "local:")
	t.Run("batched product of two matrices", func(t *testing.T) { // it does not end
		b := newGraphBuilder()
		y := must(gorgonia.BatchedMatMul(b.given("x", []float32{1, 2, 3, 4}, 2, 2), b.given("y", []float32{5, 6, 7, 8}, 2, 2)))
		p := b.imported(t, gorgonia.Nodes{y})
		requireNear(t, []float32{19, 22, 43, 50}, numbers(t, outputsOf(t, s, p, b.feed)[0]))
	})
	t.Run("element", func(t *testing.T) { // At is a statement there, and is skipped
		b := newGraphBuilder()
		y := must(gorgonia.At(b.given("x", []float32{1, 2, 3, 4, 5, 6}, 2, 3), 1, 2))
		p := b.imported(t, gorgonia.Nodes{y})
		requireNear(t, []float32{6}, numbers(t, outputsOf(t, s, p, b.feed)[0]))
		m := gorgonia.NewTapeMachine(b.g)
		defer m.Close()
		require.NoError(t, m.RunAll())
		require.Nil(t, y.Value(), "Gorgonia computes it now")
	})
}

// TestImportAfterStabilisation: a logarithm that Gorgonia rewrites removes a
// node, after which the graph's own From gives the operands of other nodes.
func TestImportAfterStabilisation(t *testing.T) {
	b := newGraphBuilder()
	x, y := b.given("x", []float32{1, 2}, 2), b.given("y", []float32{3, 5}, 2)
	early := must(gorgonia.Sub(x, y))
	b.g.From(early.ID())
	must(gorgonia.Log(must(gorgonia.Add(x, gorgonia.NewConstant(float32(1))))))
	late := must(gorgonia.HadamardProd(early, must(gorgonia.Sub(y, x))))
	p := b.imported(t, gorgonia.Nodes{late})
	require.Equal(t, []float32{-4, -9}, numbers(t, outputsOf(t, session(t, "local:"), p, b.feed)[0]))
}

// TestImportLostInGorgonia documents what no import can repair: Gorgonia merges
// these nodes while the graph is built.
func TestImportLostInGorgonia(t *testing.T) {
	b := newGraphBuilder()
	wide := b.in("x", 2, 768)
	first := must(gorgonia.Slice(wide, nil, gorgonia.S(0, 256)))
	require.Same(t, first, must(gorgonia.Slice(wide, nil, gorgonia.S(256, 512))))
	soft := must(gorgonia.SoftMax(wide))
	require.Same(t, soft, must(gorgonia.LogSoftMax(wide)))
	require.Same(t, wide, gorgonia.NewMatrix(b.g, gorgonia.Float32, gorgonia.WithShape(2, 768), gorgonia.WithName("x")))
}

// TestImportLeavesTheGraph: import copies the weights and changes nothing, and
// what is trained later does not reach the program.
func TestImportLeavesTheGraph(t *testing.T) {
	b := newGraphBuilder()
	w := b.node("w", []float32{1, 2}, 2)
	y := must(gorgonia.Add(b.given("x", []float32{10, 20}, 2), w))
	dot := b.g.ToDot()
	p := b.imported(t, gorgonia.Nodes{y})
	require.Equal(t, dot, b.g.ToDot())
	w.Value().Data().([]float32)[0] = 100
	require.Equal(t, []float32{11, 22}, numbers(t, outputsOf(t, session(t, "local:"), p, genie.Feed{"x": genie.Float32s([]float32{10, 20}, 2)})[0]))
}

// TestImportTrained imports what a step of training leaves: values with
// gradients beside them, and inputs whose shape a reshape has changed.
func TestImportTrained(t *testing.T) {
	b := newGraphBuilder()
	w := b.node("w", []float32{1, 2, 3, 4}, 2, 2)
	x := b.given("x", []float32{1, 0, 0, 1}, 4)
	y := must(gorgonia.Mul(must(gorgonia.Reshape(x, tensor.Shape{2, 2})), w))
	_, err := gorgonia.Grad(must(gorgonia.Sum(y)), w)
	require.NoError(t, err)
	m := gorgonia.NewTapeMachine(b.g, gorgonia.BindDualValues(w))
	defer m.Close()
	require.NoError(t, m.RunAll())
	require.NoError(t, gorgonia.NewVanillaSolver(gorgonia.WithLearnRate(0.5)).Step([]gorgonia.ValueGrad{w}))
	p := b.imported(t, gorgonia.Nodes{y})
	// The gradient is a matrix of ones.
	require.Equal(t, []float32{0.5, 1.5, 2.5, 3.5}, numbers(t, outputsOf(t, session(t, "local:"), p, b.feed)[0]))
}
