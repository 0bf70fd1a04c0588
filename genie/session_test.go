package genie_test

import (
	"context"
	"math"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// executors gives a client for each executor and policy.
func executors(t *testing.T, run func(t *testing.T, c *genie.Client)) {
	w := workertest.Start(t, nil)
	for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
		for _, p := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
			t.Run(url[:5]+"/"+p.Name(), func(t *testing.T) {
				c, err := genie.Open(context.Background(), url, genie.WithPolicy(p))
				require.NoError(t, err)
				defer func() { require.NoError(t, c.Close()) }()
				run(t, c)
			})
		}
	}
}

func session(t *testing.T, c *genie.Client) *genie.Session {
	t.Helper()
	s, err := c.NewSession(context.Background())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func floats(t *testing.T, v *genie.Value) []float32 {
	t.Helper()
	f, err := v.Float32s(context.Background())
	require.NoError(t, err)
	return f
}

// rnn is h' = tanh(x w + h u), with h carried.
func rnn() (out *lazy.Tensor) {
	g := lazy.NewGraph("rnn")
	x := g.Input("x", lazy.F32, "batch", 2)
	h := g.Input("h", lazy.F32, "batch", 2)
	w := g.WeightF32("w", []float32{.5, -.25, .75, .1}, 2, 2)
	u := g.WeightF32("u", []float32{.2, .4, -.6, .8}, 2, 2)
	out = g.Output("y", lazy.Tanh(lazy.Add(lazy.MatMul(x, w), lazy.MatMul(h, u))))
	g.Carry(h, out)
	return out
}

func rnnStep(x, h [2]float32) (y [2]float32) {
	w, u := [4]float32{.5, -.25, .75, .1}, [4]float32{.2, .4, -.6, .8}
	for j := range y {
		y[j] = float32(math.Tanh(float64(x[0]*w[j] + x[1]*w[2+j] + h[0]*u[j] + h[1]*u[2+j])))
	}
	return y
}

// TestCarriedState runs a recurrent network: its state is zeros first, then
// what the last run left; it can be fed, and it can be reset.
func TestCarriedState(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		y := rnn()
		s := session(t, c)
		var h [2]float32
		step := func(x [2]float32, feed genie.Feed) {
			feed["x"] = genie.Float32s(x[:], 1, 2)
			out, err := s.Run(ctx, feed, y)
			require.NoError(t, err)
			h = rnnStep(x, h)
			require.InDeltaSlice(t, h[:], floats(t, out[0]), 1e-6)
		}
		for i := range 5 {
			step([2]float32{float32(i) / 4, -.5}, genie.Feed{})
		}
		h = [2]float32{.9, -.9} // fed, and then carried from there
		step([2]float32{.1, .2}, genie.Feed{"h": genie.Float32s(h[:], 1, 2)})
		step([2]float32{.3, .4}, genie.Feed{})
		require.NoError(t, s.Reset(ctx))
		h = [2]float32{}
		step([2]float32{.5, .6}, genie.Feed{})

		_, err := s.Run(ctx, genie.Feed{"x": genie.Float32s(make([]float32, 4), 2, 2)}, y)
		require.ErrorIs(t, err, genie.ErrShape, "the carried state has another batch")
		step([2]float32{.7, .8}, genie.Feed{})
	})
}

// TestKeptValues leaves a result where it was computed and feeds it to another
// run.
func TestKeptValues(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		g := lazy.NewGraph("double")
		x := g.Input("x", lazy.F32, "n")
		y := lazy.Add(x, x)
		s := session(t, c)
		v := genie.Float32s([]float32{1, 2, 3}, 3)
		for range 4 {
			out, err := s.RunRetain(ctx, genie.Feed{"x": v}, y)
			require.NoError(t, err)
			v = out[0]
		}
		require.Equal(t, []float32{16, 32, 48}, floats(t, v))
		require.Equal(t, []int{3}, v.Shape())
		if v.Remote() {
			require.NoError(t, v.Release(ctx))
		}
	})
}

func TestRunErrors(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := context.Background()
		g := lazy.NewGraph("errors")
		x := g.Input("x", lazy.F32, "n", 4)
		idx := g.Input("idx", lazy.I32, "n")
		table := g.WeightF32("table", make([]float32, 12), 3, 4)
		y := lazy.Add(x, lazy.Embedding(table, idx))
		s := session(t, c)
		ok := genie.Feed{"x": genie.Float32s(make([]float32, 8), 2, 4), "idx": genie.Int32s([]int32{0, 2}, 2)}
		with := func(name string, v *genie.Value) genie.Feed {
			f := genie.Feed{name: v}
			for k, old := range ok {
				if _, set := f[k]; !set {
					f[k] = old
				}
			}
			return f
		}
		for _, tc := range []struct {
			name string
			feed genie.Feed
			want error
			text string
		}{
			{"other sizes", with("idx", genie.Int32s([]int32{0}, 1)), genie.ErrShape, "n"},
			{"fixed dimension", with("x", genie.Float32s(make([]float32, 6), 2, 3)), genie.ErrShape, `"x"`},
			{"rank", with("x", genie.Float32s(make([]float32, 8), 8)), genie.ErrShape, `"x"`},
			{"type", with("idx", genie.Float32s(make([]float32, 2), 2)), genie.ErrDType, `"idx"`},
			{"unknown", with("z", genie.Float32s(nil, 0)), genie.ErrUnknownInput, `"z"`},
			{"nil", with("x", nil), genie.ErrUnknownInput, `"x"`},
			{"missing", genie.Feed{"x": ok["x"]}, genie.ErrUnknownInput, `"idx"`},
			{"index", with("idx", genie.Int32s([]int32{0, 3}, 2)), genie.ErrIndexRange, "3"},
			{"length", with("x", genie.Float32s(make([]float32, 7), 2, 4)), genie.ErrShape, `"x"`},
		} {
			_, err := s.Run(ctx, tc.feed, y)
			require.ErrorIs(t, err, tc.want, tc.name)
			require.ErrorContains(t, err, tc.text, tc.name)
		}
		out, err := s.Run(ctx, ok, y)
		require.NoError(t, err, "a session outlives errors")
		require.Len(t, floats(t, out[0]), 8)

		bad := lazy.MatMul(x, table)
		_, err = s.Run(ctx, ok, bad)
		require.ErrorIs(t, err, genie.ErrCapture)
		require.ErrorContains(t, err, "session_test.go")
		_, err = s.Run(ctx, ok)
		require.ErrorIs(t, err, genie.ErrCapture)
	})
}

func TestOpenErrors(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, url := range []string{"", "local", "local:x", "http://h:1", "tcp://host", "grpc://", "tcp://h:1/path", "tcp://u@h:1", "%"} {
		_, err := genie.Open(ctx, url)
		require.ErrorIs(t, err, genie.ErrURL, url)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	require.NoError(t, l.Close())
	for _, scheme := range []string{"tcp://", "grpc://"} {
		_, err := genie.Open(ctx, scheme+addr)
		require.ErrorIs(t, err, genie.ErrUnreachable)
		require.ErrorContains(t, err, addr)
	}
}

// TestCanceled stops a run; the session stays usable.
func TestCanceled(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		g := lazy.NewGraph("slow")
		x := g.Input("x", lazy.F32, "n", "n")
		y := x
		for range 60 {
			y = lazy.MatMul(y, x)
		}
		s := session(t, c)
		const n = 256
		feed := genie.Feed{"x": genie.Float32s(make([]float32, n*n), n, n)}
		ctx, cancel := context.WithCancel(context.Background())
		timer := time.AfterFunc(5*time.Millisecond, cancel)
		defer timer.Stop()
		_, err := s.Run(ctx, feed, y)
		if err != nil { // a fast machine may have finished
			require.ErrorIs(t, err, context.Canceled)
		}
		done, stop := context.WithCancel(context.Background())
		stop()
		_, err = s.Run(done, feed, y)
		require.ErrorIs(t, err, context.Canceled)
		_, err = s.Run(context.Background(), genie.Feed{"x": genie.Float32s([]float32{1}, 1, 1)}, y)
		require.NoError(t, err)
	})
}
