package lazy_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// run computes tensors of one graph in this process.
func run(t *testing.T, feed genie.Feed, outputs ...*lazy.Tensor) ([]*genie.Value, error) {
	t.Helper()
	for _, y := range outputs {
		require.NoError(t, y.Err())
	}
	here, err := local.Open()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, here.Close()) })
	s, err := genie.NewClient(here).NewSession(t.Context())
	require.NoError(t, err)
	return s.Run(t.Context(), feed, outputs...)
}

func floats(t *testing.T, v *genie.Value) []float32 {
	t.Helper()
	out, err := v.Float32s(t.Context())
	require.NoError(t, err)
	return out
}

// TestGeneralOperators computes with the operators beyond those of models. The
// operators' own tests compare them with other implementations.
func TestGeneralOperators(t *testing.T) {
	g := lazy.NewGraph("general")
	x := g.Input("x", lazy.F32, "n", 3)
	n := lazy.Dim("n")
	index := g.ConstInt([]int32{1, -1}, 2)
	for name, c := range map[string]struct {
		y     *lazy.Tensor
		shape string
		want  []float32
	}{
		"clip":            {lazy.Clip(x, 2, 5), "[n, 3]", []float32{2, 2, 3, 4, 5, 5}},
		"maximum":         {lazy.Maximum(x, lazy.Neg(x)), "[n, 3]", []float32{1, 2, 3, 4, 5, 6}},
		"mod":             {lazy.Mod(lazy.Neg(x), g.Const([]float32{4})), "[n, 3]", []float32{3, 2, 1, 0, 3, 2}},
		"fmod":            {lazy.Fmod(lazy.Neg(x), g.Const([]float32{4})), "[n, 3]", []float32{-1, -2, -3, 0, -1, -2}},
		"pow":             {lazy.Pow(x, g.Const([]float32{2})), "[n, 3]", []float32{1, 4, 9, 16, 25, 36}},
		"less":            {lazy.Cast(lazy.Less(x, g.Const([]float32{3})), lazy.F32), "[n, 3]", []float32{1, 1, 0, 0, 0, 0}},
		"linear":          {lazy.Linear(x, g.WeightF32("w", []float32{1, 1, 1}, 3, 1), nil), "[n, 1]", []float32{6, 15}},
		"gather":          {lazy.Gather(x, index, 1), "[n, 2]", []float32{2, 3, 5, 6}},
		"pad":             {lazy.Pad(x, []int{1, 0}, []int{0, -1}, 9), "[n+1, 2]", []float32{9, 9, 1, 2, 4, 5}},
		"reflect":         {lazy.PadWith(x, lazy.PadReflect, []int{0, 2}, []int{0, 0}), "[n, 5]", []float32{3, 2, 1, 2, 3, 6, 5, 4, 5, 6}},
		"cumsum":          {lazy.CumSum(x, 1), "[n, 3]", []float32{1, 3, 6, 4, 9, 15}},
		"cumsum reversed": {lazy.CumSumOf(x, 0, true, true), "[n, 3]", []float32{4, 5, 6, 0, 0, 0}},
		"tril":            {lazy.Tril(x, 0), "[n, 3]", []float32{1, 0, 0, 4, 5, 0}},
		"triu":            {lazy.Triu(x, 1), "[n, 3]", []float32{0, 2, 3, 0, 0, 6}},
		"range":           {g.Range(lazy.F32, 1, 3, n), "[n]", []float32{1, 4}},
		"part of a range": {lazy.Slice(g.Range(lazy.F32, 0, 1, n.Scale(3)), 0, n, n.Scale(3)), "[2*n]", []float32{2, 3, 4, 5}},
		"flip":            {lazy.Flip(x, 0), "[n, 3]", []float32{4, 5, 6, 1, 2, 3}},
		"every":           {lazy.Every(x, 0, 2), "[floor((n+1)/2), 3]", []float32{1, 2, 3}},
		"tile":            {lazy.Tile(x, 2, 2), "[2*n, 6]", []float32{1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6, 1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6}},
		"one-hot":         {lazy.OneHot(index, 3, 1, 0), "[2, 3]", []float32{0, 1, 0, 0, 0, 1}},
		"argmin":          {lazy.Cast(lazy.ArgMin(x, 0), lazy.F32), "[3]", []float32{0, 0, 0}},
		"kept":            {lazy.Keep(lazy.Min, x, -1), "[n, 1]", []float32{1, 4}},
		"product":         {lazy.Prod(x, 0), "[3]", []float32{4, 10, 18}},
		"scattered":       {lazy.ScatterND(x, g.ConstInt([]int32{1}, 1, 1), g.Const([]float32{7, 8, 9}, 1, 3), lazy.CombineAdd), "[n, 3]", []float32{1, 2, 3, 11, 13, 15}},
		"NaN":             {lazy.Cast(lazy.IsNaN(lazy.Log(lazy.Neg(x))), lazy.F32), "[n, 3]", []float32{1, 1, 1, 1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.y.Err())
			require.Equal(t, c.shape, c.y.Shape().String())
			got, err := run(t, genie.Feed{"x": genie.Float32s([]float32{1, 2, 3, 4, 5, 6}, 2, 3)}, c.y)
			require.NoError(t, err)
			require.InDeltaSlice(t, c.want, floats(t, got[0]), 1e-5)
		})
	}
}

// TestConditions gives sizes at which an operator cannot compute.
func TestConditions(t *testing.T) {
	g := lazy.NewGraph("conditions")
	x := g.Input("x", lazy.F32, "n")
	feed := genie.Feed{"x": genie.Float32s([]float32{1, 2}, 2)}
	for name, y := range map[string]*lazy.Tensor{
		"reflect": lazy.PadWith(x, lazy.PadReflect, []int{2}, []int{0}),
		"cut off": lazy.Pad(x, []int{-2}, []int{-1}, 0),
	} {
		_, err := run(t, feed, y)
		require.ErrorIs(t, err, transport.ErrShape, name)
	}
	_, err := run(t, feed, lazy.Gather(x, g.ConstInt([]int32{-3}, 1), 0))
	require.ErrorIs(t, err, transport.ErrIndexRange)
	for name, y := range map[string]*lazy.Tensor{
		"tile ranks": lazy.Tile(x, 1, 2), "tile negative": lazy.Tile(x, -1), "every 0": lazy.Every(x, 0, 0), "every least": lazy.Every(x, 0, math.MinInt),
		"depth": lazy.OneHot(g.ConstInt([]int32{0}, 1), -1, 1, 0), "one-hot floats": lazy.OneHot(x, 2, 1, 0), "range": g.Range(lazy.F32, 0, 1, -1),
		"nil tile": lazy.Tile(nil), "nil one-hot": lazy.OneHot(nil, 1, 1, 0), "nil flip": lazy.Flip(nil, 0), "nil kept": lazy.Keep(lazy.Sum, nil),
		"kept axis": lazy.Keep(lazy.Sum, x, 3), "range of a name that is none": g.Range(lazy.F32, 0, 1, "1x"), "range of bools": g.Range(plan.Bool, 0, 1, 1),
	} {
		require.Error(t, y.Err(), name)
	}
}
