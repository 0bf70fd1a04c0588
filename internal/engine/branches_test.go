package engine_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// tower is layers of products over an input of its own.
func (n *network) tower(input string, width, layers int) *lazy.Tensor {
	h := n.g.Input(input, lazy.F32, "batch", "seq", width)
	for range layers {
		f := lazy.GELU(lazy.Linear(h, n.weight(0.2, 0, width, 2*width), n.weight(1, 0, 2*width)))
		h = lazy.Add(h, lazy.Linear(f, n.weight(0.2, 0, 2*width, width), n.weight(1, 0, width)))
	}
	return h
}

// towers are two towers, their comparison, and something small beside both.
func (n *network) towers() {
	a := lazy.Mean(n.tower("a", 40, 4), 1)
	b := lazy.Mean(n.tower("b", 24, 3), 1)
	scale := lazy.Exp(n.g.WeightF32("scale", []float32{0.5}, 1))
	both := lazy.MatMul(a, lazy.MatMul(b, n.weight(0.2, 0, 40, 24), lazy.TransB), lazy.TransB)
	n.g.Output("a", a)
	n.g.Output("scores", lazy.Mul(both, scale))
	n.g.Output("c", lazy.Tanh(n.g.Input("c", lazy.F32, "batch", 5)))
}

// forked begins with layers that both towers read: these are not two branches.
func (n *network) forked() {
	h := n.tower("a", 24, 3)
	one, two := h, h
	for range 5 {
		one = lazy.Tanh(lazy.MatMul(one, n.weight(0.2, 0, 24, 24)))
		two = lazy.Tanh(lazy.MatMul(two, n.weight(0.2, 0, 24, 24)))
	}
	n.g.Output("sum", lazy.Add(one, two))
}

func (n *network) plan(t *testing.T) *plan.Plan {
	t.Helper()
	require.NoError(t, n.g.Err())
	srg, err := semantic.Analyze(n.g)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{}, Outputs: n.g.Outputs()})
	require.NoError(t, err)
	return sch.Plan
}

// TestBranches verifies that branches are found where they exist, and that
// running them concurrently changes no bit, with any number of threads.
func TestBranches(t *testing.T) {
	for name, c := range map[string]struct {
		build func(*network)
		want  []int
	}{
		"towers":      {(*network).towers, []int{9, 8, 4}},
		"forked":      {(*network).forked, nil},
		"transformer": {(*network).transformer, nil},
		"cnn":         {(*network).cnn, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := &network{g: lazy.NewGraph(name), rng: rand.New(rand.NewPCG(3, 4))}
			c.build(n)
			p := n.plan(t)
			e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, Branches: true})
			require.NoError(t, err)
			defer e.Close()
			prog, err := e.Compile(p)
			require.NoError(t, err)
			require.Equal(t, c.want, engine.Branches(prog))
			var first [][]float32
			for _, o := range []engine.Options{
				{Device: cpu.Open, Threads: 1}, {Threads: 1, Branches: true}, {Threads: 2, Branches: true}, {Threads: 4, Branches: true, Profile: true},
			} {
				got := n.run(t, p, 3, func() (*engine.Engine, error) { o.Device = cpu.Open; return engine.New(o) })
				if first == nil {
					first = got
				}
				require.Equal(t, first, got, "%+v", o)
			}
		})
	}
}

// TestBranchesFail verifies that an error in either branch, or cancelling the
// run, ends the run and leaves the session usable.
func TestBranchesFail(t *testing.T) {
	n := &network{g: lazy.NewGraph("failing"), rng: rand.New(rand.NewPCG(3, 4))}
	rows := lazy.Embedding(n.weight(1, 0, 7, 24), n.g.Input("tokens", lazy.I32, "batch", "seq"))
	for range 4 {
		rows = lazy.Tanh(lazy.MatMul(rows, n.weight(0.2, 0, 24, 24)))
	}
	n.g.Output("sum", lazy.Add(lazy.Mean(rows, 1), lazy.Mean(n.tower("a", 24, 3), 1)))
	p := n.plan(t)
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, Branches: true})
	require.NoError(t, err)
	defer e.Close()
	prog, err := e.Compile(p)
	require.NoError(t, err)
	require.Len(t, engine.Branches(prog), 3)
	for _, v := range e.Missing(prog) {
		w, err := n.g.Weight(v.Hash)
		require.NoError(t, err)
		ww, err := e.PutWeight(prog, v)
		require.NoError(t, err)
		_, err = ww.Write(w.Data)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	s := e.NewSession()
	defer s.Close()
	run := func(ctx context.Context, token byte) error {
		c, err := s.NewCall(prog, []int{2, 3})
		require.NoError(t, err)
		defer c.Release()
		for i, in := range p.Inputs {
			buf, err := c.AllocInput(i)
			require.NoError(t, err)
			clear(buf)
			if in.Name == "tokens" {
				buf[4] = token
			}
		}
		return c.Run(ctx)
	}
	require.NoError(t, run(t.Context(), 6))
	err = run(t.Context(), 7)
	require.ErrorIs(t, err, transport.ErrIndexRange)
	require.ErrorContains(t, err, "embedding")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, run(ctx, 1), context.Canceled)
	require.NoError(t, run(t.Context(), 1))
}
