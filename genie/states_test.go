package genie_test

import (
	"context"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
)

// stepper steps programs that are rnn and holds them against what they must give.
type stepper struct {
	*testing.T
	s *genie.Session
	n int
}

func (p *stepper) step(y *lazy.Tensor, h *[2]float32) {
	p.Helper()
	p.n++
	x := [2]float32{float32(p.n) / 8, -.5}
	out, err := p.s.Run(context.Background(), genie.Feed{"x": genie.Float32s(x[:], 1, 2)}, y)
	require.NoError(p, err)
	*h = rnnStep(x, *h)
	require.InDeltaSlice(p, h[:], floats(p.T, out[0]), 1e-6)
}

// TestGraphsCarryApart runs two graphs of one structure alternately in one
// session: each has its own values, under every policy and executor, and after
// resets and growth in between.
func TestGraphsCarryApart(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		a, b := rnn(), rnn()
		require.Equal(t, a.Graph().Fingerprint(), b.Graph().Fingerprint())
		p := &stepper{T: t, s: session(t, c)}
		var ha, hb [2]float32
		for range 3 {
			p.step(a, &ha)
			p.step(b, &hb)
			p.step(b, &hb)
		}
		require.NotEqual(t, ha, hb)
		require.NoError(t, lazy.Add(b, b).Err()) // it grows, and is analysed again
		p.step(b, &hb)
		p.step(a, &ha)
		require.NoError(t, p.s.Reset(t.Context()))
		ha, hb = [2]float32{}, [2]float32{}
		p.step(b, &hb) // the names are given in another order
		p.step(a, &ha)
		p.step(b, &hb)
	})
}

// TestSharedState recaptures a program for each step: with a name, each one
// continues where the previous one stopped.
func TestSharedState(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		p := &stepper{T: t, s: session(t, c)}
		named := func(name string) *lazy.Tensor {
			y := rnn()
			y.Graph().ShareState(name)
			return y
		}
		var left, right, own [2]float32
		alone := rnn()
		for range 3 {
			p.step(named("left"), &left)
			p.step(named("right"), &right)
			p.step(alone, &own)
		}
		require.NoError(t, p.s.Reset(t.Context()))
		left = [2]float32{}
		first := named("left")
		p.step(first, &left)
		p.step(named("left"), &left)
		p.step(first, &left)

		other := lazy.NewGraph("other")
		h := other.Input("h", lazy.F32, 3)
		next := lazy.Add(h, other.Const([]float32{1, 1, 1}, 3))
		other.Carry(h, next)
		other.ShareState("left")
		_, err := p.s.Run(t.Context(), nil, next)
		require.ErrorIs(t, err, genie.ErrCapture)
		require.ErrorContains(t, err, `"left"`)
		p.step(named("left"), &left)
	})
}

// cached is a program of attention over a cache of rows [2], for rows more at a
// time: a prompt or a token.
func cached(name, state string, rows any) *lazy.Tensor {
	g := lazy.NewGraph(name)
	x := g.Input("x", lazy.F32, 1, 1, rows, 2)
	k := g.Input("k", lazy.F32, 1, 1, "past", 2)
	v := g.Input("v", lazy.F32, 1, 1, "past", 2)
	keys, values := lazy.Concat(2, k, x), lazy.Concat(2, v, x)
	g.Carry(k, keys)
	g.Carry(v, values)
	if state != "" {
		g.ShareState(state)
	}
	return lazy.Sum(lazy.MatMul(lazy.Softmax(lazy.MatMul(x, lazy.Transpose(keys, 0, 1, 3, 2)), 3), values), 2)
}

// TestSharedCache captures a prompt and the tokens after it as programs of their
// own, which share a cache by name, and without a name do not.
func TestSharedCache(t *testing.T) {
	executors(t, func(t *testing.T, c *genie.Client) {
		ctx := t.Context()
		rows := func(data ...float32) genie.Feed {
			return genie.Feed{"x": genie.Float32s(data, 1, 1, len(data)/2, 2)}
		}
		run := func(s *genie.Session, y *lazy.Tensor, feed genie.Feed) []float32 {
			out, err := s.Run(ctx, feed, y)
			require.NoError(t, err)
			return floats(t, out[0])
		}
		whole := cached("whole", "", "n")
		one, two, none := session(t, c), session(t, c), session(t, c)
		run(one, whole, rows(1, 2, 3, 4, 5, 6))
		want := run(one, whole, rows(.5, -.25))

		prompt, token := cached("prompt", "cache", "n"), cached("token", "cache", 1)
		run(two, prompt, rows(1, 2, 3, 4, 5, 6))
		require.Equal(t, want, run(two, token, rows(.5, -.25)))

		prompt, token = cached("prompt", "", "n"), cached("token", "", 1)
		run(none, prompt, rows(1, 2, 3, 4, 5, 6))
		require.Equal(t, []float32{.5, -.25}, run(none, token, rows(.5, -.25)), "a cache of its own, of one row")
	})
}

// TestFirstGraphHasOneName verifies that a session makes the same plan of the
// first graph of a structure as any other session does, before and after a
// Reset: an executor compiles it once.
func TestFirstGraphHasOneName(t *testing.T) {
	w := workertest.Start(t, nil)
	c, err := genie.Open(t.Context(), "tcp://"+w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	plans := func() int64 {
		st, err := c.Stats(t.Context())
		require.NoError(t, err)
		return st.PlansSent
	}
	for range 3 {
		p := &stepper{T: t, s: session(t, c)}
		for range 3 {
			var h [2]float32
			y := rnn()
			p.step(y, &h)
			p.step(y, &h)
			require.NoError(t, p.s.Reset(t.Context()))
		}
	}
	require.EqualValues(t, 1, plans())
	p := &stepper{T: t, s: session(t, c)}
	var a, b [2]float32
	p.step(rnn(), &a)
	p.step(rnn(), &b)
	require.EqualValues(t, 2, plans(), "the second graph's states have names of their own")
}

// TestStatesAreBounded lets a session carry values of more and more programs.
func TestStatesAreBounded(t *testing.T) {
	c, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	p := &stepper{T: t, s: session(t, c)}
	for range genie.MaxStates {
		var h [2]float32
		p.step(rnn(), &h)
	}
	_, err = p.s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, rnn())
	require.ErrorIs(t, err, genie.ErrLimit)
	require.NoError(t, p.s.Reset(t.Context()))
	var h [2]float32
	p.step(rnn(), &h)
}

// TestStatesAfterALoss loses the worker of a session that carries values of several
// graphs: each says so until a Reset, and each has its own again after it.
func TestStatesAfterALoss(t *testing.T) {
	first, second := workertest.Start(t, quick), workertest.Start(t, quick)
	link, err := fault.Start(first.TCP, fault.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, link.Close()) }()
	c, err := genie.Open(t.Context(), "tcp://"+link.Addr(), genie.WithHeartbeat(beat))
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	p := &stepper{T: t, s: session(t, c)}
	a, b, shared := rnn(), rnn(), rnn()
	shared.Graph().ShareState("shared")
	var h [3][2]float32
	for range 2 {
		for i, y := range []*lazy.Tensor{a, b, shared} {
			p.step(y, &h[i])
		}
	}
	link.Retarget(second.TCP)
	link.CutAll()
	again := rnn()
	again.Graph().ShareState("shared")
	for i, y := range []*lazy.Tensor{a, b, shared, again} {
		_, err := p.s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, y)
		require.ErrorIs(t, err, genie.ErrSessionLost, strconv.Itoa(i))
	}
	require.NoError(t, p.s.Reset(t.Context()))
	h = [3][2]float32{}
	for range 2 {
		for i, y := range []*lazy.Tensor{a, b, shared} {
			p.step(y, &h[i])
		}
	}
	p.step(again, &h[2])
}
