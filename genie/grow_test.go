package genie_test

import (
	"context"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// TestProgramGrows adds to a program between the runs of a session: operators
// on earlier results, weights, inputs and outputs. The carried state survives
// that.
func TestProgramGrows(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		y := rnn()
		g := y.Graph()
		s := session(t, c)
		var h [2]float32
		step := func(x [2]float32, feed genie.Feed, outputs ...*lazy.Tensor) [][]float32 {
			t.Helper()
			if feed == nil {
				feed = genie.Feed{}
			}
			feed["x"] = genie.Float32s(x[:], 1, 2)
			out, err := s.Run(ctx, feed, append([]*lazy.Tensor{y}, outputs...)...)
			require.NoError(t, err)
			h = rnnStep(x, h)
			var got [][]float32
			for _, v := range out {
				got = append(got, floats(t, v))
			}
			require.InDeltaSlice(t, h[:], got[0], 1e-6)
			return got[1:]
		}
		step([2]float32{.5, -.5}, nil)

		twice := lazy.Add(y, y)
		got := step([2]float32{.25, .5}, nil, twice)
		require.InDeltaSlice(t, []float32{2 * h[0], 2 * h[1]}, got[0], 1e-6)

		v := g.WeightF32("v", []float32{1, 2, 3, 4}, 2, 2)
		bias := g.Input("bias", lazy.F32, 2)
		g.Output("z", lazy.Add(lazy.MatMul(twice, v), bias))
		z := g.Outputs()[len(g.Outputs())-1].Tensor
		got = step([2]float32{-.75, .1}, genie.Feed{"bias": genie.Float32s([]float32{10, 20}, 2)}, z)
		require.InDeltaSlice(t, []float32{2*h[0] + 6*h[1] + 10, 4*h[0] + 8*h[1] + 20}, got[0], 1e-5)

		// Another session takes the grown program from the start, and the first
		// one still runs what it ran before.
		other := session(t, c)
		out, err := other.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 0}, 1, 2), "bias": genie.Float32s([]float32{0, 0}, 2)}, twice)
		require.NoError(t, err)
		require.InDeltaSlice(t, []float32{2 * float32(math.Tanh(.5)), 2 * float32(math.Tanh(-.25))}, floats(t, out[0]), 1e-6)
		step([2]float32{.3, .3}, genie.Feed{"bias": genie.Float32s([]float32{0, 0}, 2)})
	})
}

// TestCacheOutlivesGrowth adds an output to a model whose KV cache has rows
// already: the cache survives, and continues to grow.
func TestCacheOutlivesGrowth(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		g := lazy.NewGraph("cache")
		x := g.Input("x", lazy.F32, 1, 1, "seq", 2)
		k := g.Input("k", lazy.F32, 1, 1, "past", 2)
		v := g.Input("v", lazy.F32, 1, 1, "past", 2)
		keys, values := lazy.Concat(2, k, x), lazy.Concat(2, v, x)
		g.Carry(k, keys)
		g.Carry(v, values)
		attended := g.Output("y", lazy.MatMul(lazy.Softmax(lazy.MatMul(x, lazy.Transpose(keys, 0, 1, 3, 2)), 3), values))
		require.NoError(t, g.Err())
		s := session(t, c)
		run := func(outputs ...*lazy.Tensor) []*genie.Value {
			t.Helper()
			out, err := s.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 1, 1, 2)}, outputs...)
			require.NoError(t, err)
			return out
		}
		for range 3 {
			require.InDeltaSlice(t, []float32{1, 2}, floats(t, run(attended)[0]), 1e-6)
		}
		sum := lazy.Sum(keys, 2)
		out := run(attended, sum)
		require.InDeltaSlice(t, []float32{1, 2}, floats(t, out[0]), 1e-6)
		require.InDeltaSlice(t, []float32{4, 8}, floats(t, out[1]), 1e-6)
		require.InDeltaSlice(t, []float32{5, 10}, floats(t, run(sum)[0]), 1e-6)
	})
}

// TestCarriedLater declares a carried pair when the session already has state:
// there is no value that it could have now, so the session needs a Reset.
func TestCarriedLater(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		y := rnn()
		g := y.Graph()
		s := session(t, c)
		feed := genie.Feed{"x": genie.Float32s([]float32{1, 0}, 1, 2)}
		_, err := s.Run(ctx, feed, y)
		require.NoError(t, err)
		count := g.Input("count", lazy.F32, "batch", 2)
		next := lazy.Add(count, y)
		g.Carry(count, next)
		_, err = s.Run(ctx, feed, next)
		require.ErrorIs(t, err, genie.ErrState)
		require.ErrorContains(t, err, `"count"`)
		require.NoError(t, s.Reset(ctx))
		var h, sum [2]float32
		for range 3 {
			out, err := s.Run(ctx, feed, next)
			require.NoError(t, err)
			h = rnnStep([2]float32{1, 0}, h)
			sum[0], sum[1] = sum[0]+h[0], sum[1]+h[1]
			require.InDeltaSlice(t, sum[:], floats(t, out[0]), 1e-5)
		}
	})
}

// TestOutdatedSRG schedules a program that has grown since it was analysed.
func TestOutdatedSRG(t *testing.T) {
	g := lazy.NewGraph("grown")
	x := g.Input("x", lazy.F32, "n")
	lazy.Add(x, x)
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	late := lazy.Mul(x, x)
	require.NoError(t, late.Err())
	require.True(t, srg.Outdated())
	_, err = semantic.Full().Schedule(srg, semantic.Request{Outputs: []lazy.Named{{Name: "late", Tensor: late}}})
	require.ErrorIs(t, err, genie.ErrPolicy)
	require.ErrorContains(t, err, "grown")
}
