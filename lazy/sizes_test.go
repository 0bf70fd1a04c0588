package lazy_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
)

func ramp(n int, rng *rand.Rand) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = rng.Float32() - 0.5
	}
	return v
}

// vision is a network over images of any size: windows, norms and a pyramid.
func vision(height, width any) (g *lazy.Graph, outputs []*lazy.Tensor) {
	g = lazy.NewGraph(fmt.Sprint("vision ", height, width))
	rng := rand.New(rand.NewPCG(1, 2))
	x := g.Input("x", lazy.F32, "n", 3, height, width)
	weight := func(name string, shape ...int) *lazy.Tensor {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return g.WeightF32(name, ramp(n, rng), shape...)
	}
	two := [2]int{2, 2}
	a := lazy.ReLU(lazy.Conv2D(x, weight("stem", 6, 3, 3, 3), weight("bias", 6), lazy.Conv{Stride: two, Pad: [2]int{1, 1}}))
	b := lazy.MaxPool2D(a, [2]int{3, 3}, two, [2]int{1, 1})
	b = lazy.GroupNorm(b, weight("gamma", 6), weight("beta", 6), 2, 1e-5)
	b = lazy.Sigmoid(lazy.Conv2D(lazy.PadWith(b, lazy.PadEdge, []int{0, 0, 1, 1}, []int{0, 0, 1, 1}), weight("deep", 4, 6, 3, 3), nil, lazy.Conv{}))
	c := lazy.ConvTranspose2D(b, weight("up", 4, 6, 2, 2), nil, lazy.ConvTranspose{Stride: two})
	s := a.Shape()
	c = lazy.Resize(c, lazy.ResizeMode{Mode: "linear"}, s[0], s[1], s[2], s[3])
	sum := lazy.Add(a, c)
	flat := lazy.Reshape(lazy.AvgPool(sum, lazy.Pool{Kernel: two, Stride: two, Pad: [4]int{0, 0, 1, 1}}, true), "n", 6, -1)
	return g, []*lazy.Tensor{sum, lazy.Transpose(flat, 0, 2, 1), lazy.Mean(sum, 2, 3)}
}

// TestUnknownSizes runs one program on images of many sizes, in one session, and
// compares each with the program captured for that size.
func TestUnknownSizes(t *testing.T) {
	here, err := local.Open(local.WithThreads(2))
	require.NoError(t, err)
	defer func() { require.NoError(t, here.Close()) }()
	s, err := genie.NewClient(here).NewSession(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	g, unknown := vision("h", "w")
	require.NoError(t, g.Err())
	require.Equal(t, "[n, 6, floor((h+1)/2), floor((w+1)/2)]", unknown[0].Shape().String())
	rng := rand.New(rand.NewPCG(3, 4))
	for _, size := range [][2]int{{8, 8}, {9, 8}, {31, 17}, {8, 8}, {4, 40}, {3, 3}} {
		h, w := size[0], size[1]
		feed := genie.Feed{"x": genie.Float32s(ramp(2*3*h*w, rng), 2, 3, h, w)}
		got, err := s.Run(t.Context(), feed, unknown...)
		require.NoError(t, err, size)
		_, fixed := vision(h, w)
		want, err := s.Run(t.Context(), feed, fixed...)
		require.NoError(t, err, size)
		for i := range want {
			require.Equal(t, want[i].Shape(), got[i].Shape(), size)
			require.InDeltaSlice(t, floats(t, want[i]), floats(t, got[i]), 1e-5, "output %d of %v", i, size)
		}
	}
	_, err = s.Run(t.Context(), genie.Feed{"x": genie.Float32s(nil, 2, 3, 0, 4)}, unknown...)
	require.ErrorIs(t, err, transport.ErrShape)
}

// TestUnknownFrames is the same for audio, of one dimension, and a recurrent
// layer over its frames.
func TestUnknownFrames(t *testing.T) {
	audio := func(length any) (out []*lazy.Tensor) {
		g := lazy.NewGraph(fmt.Sprint("audio ", length))
		rng := rand.New(rand.NewPCG(1, 2))
		x := g.Input("x", lazy.F32, "n", 2, length)
		y := lazy.ReLU(lazy.Conv1D(x, g.WeightF32("a", ramp(3*2*5, rng), 3, 2, 5), g.WeightF32("b", ramp(3, rng), 3), 2, 2, 1, 1))
		y = lazy.Conv1D(y, g.WeightF32("c", ramp(4*3*3, rng), 4, 3, 3), nil, 1, 2, 2, 1)
		frames := lazy.Transpose(y, 2, 0, 1)
		layer := lazy.Recurrent{
			Cell: lazy.LSTM, Direction: "both", W: g.WeightF32("w", ramp(2*20*4, rng), 2, 20, 4), R: g.WeightF32("r", ramp(2*20*5, rng), 2, 20, 5),
		}
		all, h, c := layer.Run(frames)
		return []*lazy.Tensor{all, h, c}
	}
	unknown := audio("frames")
	require.Equal(t, "[floor((frames+1)/2), 2, n, 5]", unknown[0].Shape().String())
	require.Equal(t, "[2, n, 5]", unknown[1].Shape().String())
	rng := rand.New(rand.NewPCG(3, 4))
	for _, length := range []int{16, 9, 5} {
		feed := genie.Feed{"x": genie.Float32s(ramp(2*2*length, rng), 2, 2, length)}
		got, err := run(t, feed, unknown...)
		require.NoError(t, err)
		want, err := run(t, feed, audio(length)...)
		require.NoError(t, err)
		for i := range want {
			require.InDeltaSlice(t, floats(t, want[i]), floats(t, got[i]), 1e-5)
		}
	}
}
