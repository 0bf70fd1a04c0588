package genie

import (
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

const (
	patience = 20 * time.Second
	tick     = time.Millisecond
)

// heap is the number of reachable bytes, after a collection of what weak
// pointers and cleanups have released.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestManyGraphs captures a program of 16 KiB for each of 10,000 runs, as a service
// may that does so for each request: client and session remember none that the
// caller has dropped. Half of them carry something.
func TestManyGraphs(t *testing.T) {
	const graphs, elements = 10_000, 4096
	c, s := localSession(t)
	weight := make([]float32, elements)
	run := func(i int) {
		g := lazy.NewGraph("request")
		x := g.Input("x", lazy.F32, 1)
		sum := lazy.Add(x, lazy.Sum(g.WeightF32("w", weight, elements), 0))
		if i%2 == 0 { // every other one carries what it sums up
			total := g.Input("total", lazy.F32, 1)
			sum = lazy.Add(sum, total)
			g.Carry(total, sum)
		}
		require.Equal(t, float32(i), runOne(t, s, float32(i), sum), "it begins with zeros")
		if i%2 == 0 {
			require.NoError(t, s.Reset(t.Context()))
		}
	}
	for i := range 100 {
		run(i)
	}
	before := heap()
	for i := range graphs {
		run(i)
	}
	require.Less(t, heap()-before, int64(graphs*elements*4/20), "a twentieth of what was captured")
	require.Less(t, len(s.loops.graphs), graphs, "weak pointers to graphs that are gone are looked for")
	require.Less(t, len(c.programs.graphs), graphs)
}

// TestManyStructures captures a program of another structure for each run: what
// the executor in this process compiles is freed with it, except for what any
// engine retains for the next session.
func TestManyStructures(t *testing.T) {
	const graphs, idle = 4000, 1024
	c, s := localSession(t)
	run := func(i int) {
		g := lazy.NewGraph("request")
		x := g.Input("x", lazy.F32, 1)
		sum := lazy.Add(x, g.Const([]float32{float32(i)}, 1))
		require.Equal(t, 2*float32(i), runOne(t, s, float32(i), sum))
	}
	for i := range graphs {
		run(i)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		run(0) // the session's next call releases unreferenced plans
		stats, err := c.Stats(t.Context())
		return err == nil && stats.Plans <= idle+8
	}, patience, tick)
}

func localSession(t *testing.T) (*Client, *Session) {
	t.Helper()
	c, err := Open(t.Context(), "local:")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return c, s
}

// runOne runs a program of one number.
func runOne(t *testing.T, s *Session, x float32, y *lazy.Tensor) float32 {
	t.Helper()
	out, err := s.Run(t.Context(), Feed{"x": Float32s([]float32{x}, 1)}, y)
	require.NoError(t, err)
	got, err := out[0].Float32s(t.Context())
	require.NoError(t, err)
	require.Len(t, got, 1)
	return got[0]
}

// TestManySessions opens sessions and clients for one graph, which outlives them:
// it remembers nothing of those that are closed or were dropped.
func TestManySessions(t *testing.T) {
	ctx := t.Context()
	g := lazy.NewGraph("model")
	x := g.Input("x", lazy.F32, 2)
	y := lazy.Add(x, x)
	remembered := func() (n int) {
		g.Memo().Range(func(any, any) bool { n++; return true })
		return n
	}
	exec, err := Open(ctx, "local:")
	require.NoError(t, err)
	defer func() { require.NoError(t, exec.Close()) }()
	run := func(s *Session) {
		_, err := s.Run(ctx, Feed{"x": Float32s([]float32{1, 2}, 2)}, y)
		require.NoError(t, err)
	}
	for range 20 {
		c := NewClient(exec.Executor())
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		run(s)
		require.Equal(t, 2, remembered())
		require.NoError(t, s.Close())
		require.Equal(t, 1, remembered())
		require.NoError(t, c.Close())
		require.Zero(t, remembered())
		_, err = c.Analyze(g)
		require.NoError(t, err)
		require.Zero(t, remembered(), "a client that is closed remembers nothing")
	}
	for range 20 {
		s, err := NewClient(exec.Executor()).NewSession(ctx)
		require.NoError(t, err)
		run(s)
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		return remembered() == 0
	}, patience, tick, "of those that were dropped")
	runtime.KeepAlive(g)
}

// TestPlansAreForgotten prepares one plan more than a session remembers.
func TestPlansAreForgotten(t *testing.T) {
	l := &loop{prepared: map[*plan.Plan]transport.PlanRef{}}
	for range maxPlans {
		l.remember(new(plan.Plan), nil)
	}
	require.Len(t, l.prepared, maxPlans)
	l.remember(new(plan.Plan), nil)
	require.Len(t, l.prepared, 1)

	p := &program{plans: map[planKey]*scheduled{}}
	for i := range maxPlans {
		p.remember(planKey{outputs: strconv.Itoa(i)}, nil)
	}
	require.Len(t, p.plans, maxPlans)
	p.remember(planKey{}, nil)
	require.Len(t, p.plans, 1)
}
