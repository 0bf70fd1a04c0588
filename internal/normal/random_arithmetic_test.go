package normal

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// TestRandomArithmetic checks that programs of the operators and the constants
// of the patterns, put together at random, retain their values.
func TestRandomArithmetic(t *testing.T) {
	programs := 1200
	if testing.Short() {
		programs = 400
	}
	for seed := range programs {
		g := randomArithmetic(rand.New(rand.NewPCG(uint64(seed), 7)))
		require.NoError(t, g.Err())
		require.Empty(t, faultsOf(g), "seed %d", seed)
		f, err := Of(g, nil, nil)
		require.NoError(t, err)
		was, is := newRun(g, sizes), newRun(f.Graph, sizes)
		for id, x := range g.Tensors() {
			want, err := was.value(x)
			require.NoError(t, err)
			if !tame(want) {
				continue
			}
			got, err := is.value(f.To[id])
			require.NoError(t, err)
			require.True(t, alike(want, got), "seed %d: %v as\n%s", seed, text(x), text(f.To[id]))
		}
	}
}

// tame reports whether an array has only numbers that rounding does not blow up.
func tame(a *op.Array) bool {
	if a.DType != plan.F32 {
		return false
	}
	for _, v := range a.F32() {
		if !(math.Abs(float64(v)) < 1e3) {
			return false
		}
	}
	return true
}

func alike(want, got *op.Array) bool {
	for i, v := range want.F32() {
		if !(math.Abs(float64(v-got.F32()[i])) <= 2e-3*max(1, math.Abs(float64(v)))) {
			return false
		}
	}
	return true
}

// randomArithmetic is a program of a dozen operators over two values and their
// results, each of which is an output or not.
func randomArithmetic(rng *rand.Rand) *lazy.Graph {
	g := lazy.NewGraph("random")
	values := []*lazy.Tensor{g.Input("x", lazy.F32, "b", 8), g.Input("y", lazy.F32, "b", 8)}
	vector := g.WeightF32("w", []float32{1, -2, 3, 0.5, -1, 2, 1.5, -0.25}, 8)
	constants := []float32{0, 1, -1, 2, 0.5, 3, 1.702, 0.70710678, 1.41421356, 0.044715, 0.79788456, 1e-5, 0.125, 8}
	pick := func() *lazy.Tensor { return values[len(values)-1-min(rng.IntN(len(values)), rng.IntN(len(values)))] }
	constant := func() *lazy.Tensor {
		return g.Const([]float32{constants[rng.IntN(len(constants))]}, [][]int{nil, {1}, {1, 1}}[rng.IntN(3)]...)
	}
	unary := []op.Op{
		op.Exp{},
		op.Tanh{},
		op.Sigmoid(), op.Erf(),
		op.Sqrt{},
		op.Rsqrt(), op.Reciprocal(), op.Neg(), op.Log(), op.Log1p(), op.Abs(),
		op.ReLU{},
		op.Softplus(),
		op.SiLU{},
		op.Softmax{Axis: 1},
		op.LogSoftmax{Axis: -1},
		op.RMSNorm{Eps: 1e-5},
		op.LayerNorm{Eps: 1e-5},
	}
	binary := []op.Op{op.Add(), op.Sub(), op.Mul(), op.Div(), op.Max()}
	kinds := []string{"mean", "sum", "max"}
	for range 12 {
		x := pick()
		var y *lazy.Tensor
		switch rng.IntN(9) {
		case 0, 1:
			y = lazy.Apply(unary[rng.IntN(len(unary))], x)
		case 2, 3, 4:
			y = lazy.Apply(binary[rng.IntN(len(binary))], x, pick())
		case 5:
			y = lazy.Apply(binary[rng.IntN(len(binary))], x, constant())
		case 6:
			y = lazy.Apply(binary[rng.IntN(len(binary))], constant(), x)
		case 7:
			r := lazy.Apply(op.Reduce{Kind: kinds[rng.IntN(len(kinds))], Axes: []int{1 - 2*rng.IntN(2)}, Keep: true}, x)
			values = append(values, lazy.Expand(r, "b", 8))
			y = lazy.Apply(binary[rng.IntN(len(binary))], x, r)
		default:
			y = lazy.Apply(binary[rng.IntN(len(binary))], x, vector)
		}
		values = append(values, y)
		if rng.IntN(4) == 0 {
			g.Output(string(rune('a'+len(g.Outputs()))), y)
		}
	}
	g.Output("last", lazy.Neg(values[len(values)-1]))
	return g
}
