package genie_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
)

// TestResultsAreTheCallers changes the memory of results: neither what is carried
// nor another result is any different for it. What was fed may be changed when the
// run has returned.
func TestResultsAreTheCallers(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		y := rnn()
		s := session(t, c)
		var h [2]float32
		for range 3 {
			x := [2]float32{.5, .25}
			fed := genie.Float32s(x[:], 1, 2)
			out, err := s.Run(t.Context(), genie.Feed{"x": fed}, y, y)
			require.NoError(t, err)
			in, err := fed.Tensor(t.Context())
			require.NoError(t, err)
			clear(in.Data)
			result, err := out[0].Tensor(t.Context())
			require.NoError(t, err)
			clear(result.Data)
			h = rnnStep(x, h)
			require.InDeltaSlice(t, h[:], floats(t, out[1]), 1e-6)
			require.Equal(t, []float32{0, 0}, floats(t, out[0]), "Tensor gives the memory itself")
			floats(t, out[1])[0] = 7
			require.InDeltaSlice(t, h[:], floats(t, out[1]), 1e-6, "Float32s copies")
		}
	})
}

// TestConstructorsCopy changes the slices that values were made of.
func TestConstructorsCopy(t *testing.T) {
	data := []float32{1, 2}
	v := genie.Float32s(data, 2)
	data[0] = 9
	require.Equal(t, []float32{1, 2}, floats(t, v))
	raw := transport.Tensor{DType: lazy.F32, Shape: []int{1}, Data: make([]byte, 4)}
	same, err := genie.FromTensor(raw).Tensor(t.Context())
	require.NoError(t, err)
	require.Same(t, &raw.Data[0], &same.Data[0], "FromTensor does not")
}

// TestValuesAreShared reads one retained value from many goroutines, and feeds
// it to other sessions and another client at the same time. It is fetched once.
// After its session is closed, the fetched content is still available.
func TestValuesAreShared(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := t.Context()
		g := lazy.NewGraph("double")
		x := g.Input("x", lazy.F32, "n")
		y := lazy.Add(x, x)
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		keep := func() *genie.Value {
			out, err := s.RunRetain(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 2, 3}, 3)}, y)
			require.NoError(t, err)
			return out[0]
		}
		v, unread := keep(), keep()
		other, err := genie.Open(ctx, "local:")
		require.NoError(t, err)
		defer func() { require.NoError(t, other.Close()) }()
		sessions := []*genie.Session{s, s, session(t, c), session(t, other)}
		var wg sync.WaitGroup
		for _, reader := range sessions {
			for range 4 {
				wg.Go(func() {
					got, err := v.Float32s(ctx)
					if err != nil || len(got) != 3 || got[2] != 6 {
						t.Errorf("read %v, %v", got, err)
					}
				})
				wg.Go(func() {
					out, err := reader.Run(ctx, genie.Feed{"x": v}, y)
					if err != nil {
						t.Errorf("fed: %v", err)
						return
					}
					if got, err := out[0].Float32s(ctx); err != nil || got[2] != 12 {
						t.Errorf("gave %v, %v", got, err)
					}
				})
			}
		}
		wg.Wait()
		require.NoError(t, s.Close())
		require.Equal(t, []float32{2, 4, 6}, floats(t, v))
		if unread.Remote() {
			_, err := unread.Tensor(ctx)
			require.ErrorIs(t, err, genie.ErrStaleHandle)
			_, err = sessions[3].Run(ctx, genie.Feed{"x": unread}, y)
			require.ErrorIs(t, err, genie.ErrStaleHandle)
		}
	})
}

// TestWhichFeedBindsWhichSymbol holds the rules of sizes.
func TestWhichFeedBindsWhichSymbol(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := t.Context()
		g := lazy.NewGraph("sizes")
		a := g.Input("a", lazy.F32, "n")
		b := g.Input("b", lazy.F32, "n")
		wide := g.Input("wide", lazy.F32, lazy.Dim("n").Add(lazy.Dim("m")))
		unused := g.Input("unused", lazy.F32, "n", "m")
		require.NoError(t, unused.Err())
		sum, twice := lazy.Add(a, b), lazy.Add(wide, wide)
		s := session(t, c)
		zeros := func(shape ...int) *genie.Value {
			n := 1
			for _, d := range shape {
				n *= d
			}
			return genie.Float32s(make([]float32, n), shape...)
		}
		for name, tt := range map[string]struct {
			feed   genie.Feed
			output *lazy.Tensor
			want   []int
		}{
			"both agree":                 {genie.Feed{"a": zeros(3), "b": zeros(3)}, sum, []int{3}},
			"two sizes of one symbol":    {genie.Feed{"a": zeros(3), "b": zeros(4)}, sum, nil},
			"computed, not given":        {genie.Feed{"wide": zeros(5)}, twice, nil},
			"computed, half given":       {genie.Feed{"wide": zeros(5), "a": zeros(2)}, twice, nil},
			"given by what is not used":  {genie.Feed{"wide": zeros(5), "unused": zeros(2, 3)}, twice, []int{5}},
			"computed, of another size":  {genie.Feed{"wide": zeros(6), "unused": zeros(2, 3)}, twice, nil},
			"what is not used disagrees": {genie.Feed{"a": zeros(3), "b": zeros(3), "unused": zeros(2, 1)}, sum, nil},
		} {
			out, err := s.Run(ctx, tt.feed, tt.output)
			if tt.want == nil {
				require.ErrorIs(t, err, genie.ErrShape, name)
				continue
			}
			require.NoError(t, err, name)
			require.Equal(t, tt.want, out[0].Shape(), name)
		}
	})
}

// TestWhoCallsBack verifies that the callbacks of a generation run on the stack
// of its caller, and that one goroutine at a time reports progress.
func TestWhoCallsBack(t *testing.T) {
	m := tiny(t)
	w := workertest.Start(t, nil)
	here := func() bool {
		stack := make([]byte, 1<<16)
		return strings.Contains(string(stack[:runtime.Stack(stack, false)]), "TestWhoCallsBack")
	}
	for _, url := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
		for _, p := range policies() {
			var telling, told atomic.Int32
			c, err := genie.Open(t.Context(), url, genie.WithPolicy(p), genie.WithProgress(func(int64, int64) {
				if telling.Add(1) > 1 {
					t.Error("two at a time")
				}
				told.Add(1)
				telling.Add(-1)
			}))
			require.NoError(t, err)
			for _, logits := range []bool{false, true} {
				s, r, tokens := session(t, c), story(), 0
				lm := *m.LM
				lm.Check = func(*genie.GenerateRequest) error {
					require.True(t, here())
					return nil
				}
				r.OnToken = func(int, int) error {
					tokens++
					require.True(t, here())
					return nil
				}
				if logits {
					r.OnLogits = func(int, transport.Tensor) error {
						require.True(t, here())
						return nil
					}
				}
				_, err = genie.Generate(t.Context(), s, &lm, r)
				require.NoError(t, err)
				require.Equal(t, len(r.Prompts)*r.MaxNew, tokens)
			}
			if url == "local:" && p.Name() == semantic.Full().Name() {
				require.Positive(t, told.Load(), "weights were brought to the executor")
			}
			require.NoError(t, c.Close())
		}
	}
}
