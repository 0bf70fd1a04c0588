package devicetest

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport/plan"
)

// together runs f on n goroutines.
func (f *fixture) together(n int, run func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { run(i) })
	}
	all.Wait()
}

// layered is two products with weights around a cache of attention: a part that
// batches share and a part that they do not.
func (f *fixture) layered() *builder {
	f.Helper()
	const wide = cacheHeads * cacheDim
	b := f.plan("layered")
	x := b.in(plan.F32, "new", wide)
	of := func(seed uint64) int {
		y := b.step("matmul", matmul(false, true), x, b.weight(plan.F32, floats(wide*wide, seed), wide, wide))
		y = b.step("bias", nil, y, b.weight(plan.F32, floats(wide, seed+9), wide))
		y = b.step("reshape", plan.Attrs{plan.Dims("shape", plan.C(1), plan.Sym("new"), plan.C(cacheHeads), plan.C(cacheDim))}, y)
		return b.step("transpose", perm(0, 2, 1, 3), y)
	}
	q, k, v := of(1), of(2), of(3)
	keys := b.append(2, b.state(1, cacheHeads, "past", cacheDim), k)
	values := b.append(2, b.state(1, cacheHeads, "past", cacheDim), v)
	s := b.step("causal_mask", plan.Attrs{plan.Int("window", 0)}, b.step("matmul", matmul(false, true), q, keys))
	s = b.step("matmul", matmul(false, false), b.step("softmax", plan.Attrs{plan.Int("axis", -1)}, s), values)
	s = b.step("reshape", plan.Attrs{plan.Dims("shape", plan.Sym("new"), plan.C(wide))}, b.step("transpose", perm(0, 2, 1, 3), s))
	y := b.step("add", nil, x, b.step("matmul", matmul(false, false), s, b.weight(plan.BF16, numbers(plan.BF16, wide*wide, 0, 4), wide, wide)))
	return b.out(plan.Download, y)
}

// steps are the calls of session i: a few rows, then one at a time.
func steps(i int) (calls []call) {
	past := 0
	for _, n := range []int{1 + i%5, 1, 1, 2, 1, 1, 1, 4, 1} {
		calls = append(calls, call{plan.Bindings{"new": n, "past": past}, [][]byte{floats(n*cacheHeads*cacheDim, uint64(100*i+past))}})
		past += n
	}
	return calls
}

// testManySessions runs different plans concurrently, each in several sessions.
func testManySessions(f *fixture) {
	e := f.engine(func(o *engine.Options) { o.MaxBatch = 1 })
	b := f.layered()
	p, w := b.done(), b.weights
	cache := f.cached(true, false)
	f.together(8, func(i int) {
		if i%2 == 0 {
			f.check(e, fmt.Sprint("session ", i), p, w, steps(i)...)
			return
		}
		var calls []call
		past := 0
		for _, n := range []int{1, 7, 1, 1, 9} {
			calls = append(calls, rows(past, n, uint64(i)))
			past += n
		}
		f.check(e, fmt.Sprint("session ", i), cache, nil, calls...)
	})
}

// testBatches runs one plan in several concurrent sessions, which share
// products where the device supports it: each computes what it computes alone,
// to the bit.
func testBatches(f *fixture) {
	b := f.layered()
	p, w := b.done(), b.weights
	const sessions = 6
	alone := f.engine(func(o *engine.Options) { o.MaxBatch = 1 })
	want := make([][][]byte, sessions)
	for i := range want {
		want[i] = f.answers(alone, p, b, i)
	}
	g := &gate{}
	e := f.engine(func(o *engine.Options) { o.Device, o.MaxBatch, o.Profile = g.open(f.open), 16, true })
	joint := f.joint(e, b)
	for range 200 { // until calls have met in a batch
		g.arm(sessions)
		f.together(sessions, func(i int) {
			g.arrived.Add(1)
			require.Equal(f, want[i], f.answers(e, p, b, i), "session %d", i)
		})
		if !joint || e.Stats().Batches > 3 {
			break
		}
	}
	f.check(e, "behind batches", p, w, steps(3)...)
	if joint {
		require.NotZero(f, e.Stats().Batches, "no calls met")
	}
}

// gate holds the first kernel of a run until others have come, so that they
// wait for the next batch.
type gate struct{ left, arrived atomic.Int64 }

func (g *gate) arm(n int) {
	g.arrived.Store(0)
	g.left.Store(int64(n))
}

func (g *gate) open(open device.Open) device.Open {
	return func(o device.Options) (device.Device, error) {
		o.Fault = func(string) {
			n := g.left.Swap(0)
			for i := 0; n > 0 && (g.arrived.Load() < n || i < 1000); i++ {
				runtime.Gosched()
			}
		}
		return open(o)
	}
}

// joint reports whether calls of a plan share products.
func (f *fixture) joint(e *engine.Engine, b *builder) bool {
	one := f.session(e, b.Plan(), b.weights)
	s, prog := one.s, one.prog
	defer s.Close()
	bindings := make([]int, len(prog.Symbols()))
	for i, sym := range prog.Symbols() {
		if sym == "new" {
			bindings[i] = 1
		}
	}
	c, err := s.NewCall(prog, bindings)
	require.NoError(f, err)
	defer c.Release()
	return c.Gathers()
}

// answers are the results of session i.
func (f *fixture) answers(e *engine.Engine, p *plan.Plan, b *builder, i int) (out [][]byte) {
	s := f.session(e, p, b.weights)
	defer s.s.Close()
	for _, c := range steps(i) {
		out = append(out, s.run(c.sizes, c.in...)[0].Data)
	}
	return out
}

// testBatchesPart cancels some of the concurrent calls: the others compute what
// they compute alone, and the states of the stopped ones are unchanged.
func testBatchesPart(f *fixture) {
	b := f.layered()
	p := b.done()
	e := f.engine(func(o *engine.Options) { o.MaxBatch = 16 })
	const sessions = 6
	want := make([][][]byte, sessions)
	for i := range want {
		want[i] = f.answers(e, p, b, i)
	}
	for round := range 6 {
		f.together(sessions, func(i int) {
			s := f.session(e, p, b.weights)
			defer s.s.Close()
			for k, c := range steps(i) {
				if i%2 == 1 {
					ctx, cancel := context.WithCancel(context.Background())
					stop := make(chan struct{})
					go func() { defer close(stop); cancel() }()
					out, _, err := s.try(ctx, c.sizes, data(c.in...)...)
					<-stop
					if err == nil { // it was held before
						require.Equal(f, want[i][k], out[0].Data, "round %d, session %d", round, i)
						continue
					}
					require.ErrorIs(f, err, context.Canceled)
				}
				require.Equal(f, want[i][k], s.run(c.sizes, c.in...)[0].Data, "round %d, session %d", round, i)
			}
		})
	}
}
