package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
)

// cached is attention over a cache of keys and one of values, [batch, heads, rows, dim]
// or, with turned, [batch, rows, heads, dim].
type cached struct {
	e    *engine.Engine
	prog *engine.Program
}

const cachedHeads, cachedDim = 3, 8

func newCached(t testing.TB, e *engine.Engine, turned, tapped bool) *cached {
	t.Helper()
	g := lazy.NewGraph("cached")
	in := func(name string, rows any) *lazy.Tensor {
		if turned {
			return g.Input(name, lazy.F32, "batch", rows, cachedHeads, cachedDim)
		}
		return g.Input(name, lazy.F32, "batch", cachedHeads, rows, cachedDim)
	}
	axis, heads := 2, func(x *lazy.Tensor) *lazy.Tensor { return x }
	if turned {
		axis, heads = 1, func(x *lazy.Tensor) *lazy.Tensor { return lazy.Transpose(x, 0, 2, 1, 3) }
	}
	q, k, v := in("q", "new"), in("k", "new"), in("v", "new")
	pastK, pastV := in("past_k", "past"), in("past_v", "past")
	keys, values := lazy.Concat(axis, pastK, k), lazy.Concat(axis, pastV, v)
	g.Carry(pastK, keys)
	g.Carry(pastV, values)
	scores := lazy.Scale(lazy.MatMul(heads(q), heads(keys), lazy.TransB), 0.25)
	outputs := []lazy.Named{{Name: "y", Tensor: lazy.MatMul(lazy.Softmax(lazy.CausalMask(scores, nil), -1), heads(values))}}
	g.Output("y", outputs[0].Tensor)
	sum := lazy.Add(lazy.Sum(keys, axis), lazy.Sum(values, axis))
	g.Output("sum", sum)
	if tapped {
		outputs = append(outputs, lazy.Named{Name: "sum", Tensor: sum})
	}
	srg, err := semantic.Analyze(g)
	require.NoError(t, err)
	sch, err := semantic.Full().Schedule(srg, semantic.Request{Profile: semantic.Profile{Phase: semantic.PhaseDecode}, Outputs: outputs})
	require.NoError(t, err)
	require.Len(t, sch.Plan.States, 2)
	prog, err := e.Compile(sch.Plan)
	require.NoError(t, err)
	return &cached{e, prog}
}

// step appends n rows, whose numbers follow from their positions, and returns
// the output.
func (c *cached) step(t testing.TB, s *engine.Session, past, n, seed int) []byte {
	t.Helper()
	out, err := c.try(s, past, n, seed)
	require.NoError(t, err)
	return out
}

func (c *cached) try(s *engine.Session, past, n, seed int) ([]byte, error) {
	sizes := map[string]int{"batch": 2, "new": n, "past": past}
	var bindings []int
	for _, sym := range c.prog.Symbols() {
		bindings = append(bindings, sizes[sym])
	}
	call, err := s.NewCall(c.prog, bindings)
	if err != nil {
		return nil, err
	}
	defer call.Release()
	for i, in := range c.prog.Plan().Inputs {
		data := make([]byte, 4*2*cachedHeads*n*cachedDim)
		for j := range len(data) / 4 {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(in.Name[0])<<32|uint64(past*cachedHeads*cachedDim+j)))
			binary.LittleEndian.PutUint32(data[4*j:], math.Float32bits(float32(rng.NormFloat64())))
		}
		if err := call.SetInput(i, data); err != nil {
			return nil, err
		}
	}
	if err := call.Run(context.Background()); err != nil {
		return nil, err
	}
	t, _ := call.Output(0)
	return append([]byte(nil), t.Data...), nil
}

// TestPagesSameBits appends to caches beyond several pages, in one piece and in
// pages: the bits are the same, however the rows arrive.
func TestPagesSameBits(t *testing.T) {
	for _, turned := range []bool{false, true} {
		t.Run(fmt.Sprintf("turned=%v", turned), func(t *testing.T) {
			e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2})
			require.NoError(t, err)
			defer e.Close()
			plain, err := engine.NewReference(engine.Options{Device: cpu.Open, Threads: 2}, false)
			require.NoError(t, err)
			defer plain.Close()
			in, one := newCached(t, e, turned, false), newCached(t, plain, turned, true) // other readers want a cache in one piece
			require.Equal(t, []bool{true, true}, in.prog.Paged)
			require.Equal(t, []bool{false, false}, one.prog.Paged)
			tapped := newCached(t, e, turned, true)
			require.NotEqual(t, []bool{true, true}, tapped.prog.Paged)
			a, b := e.NewSession(), plain.NewSession()
			past := 0
			for _, n := range []int{3, 250, 1, 1, 1, 1, 300, 7, 1, 600, 13, 2} {
				require.Equal(t, one.step(t, b, past, n, 1), in.step(t, a, past, n, 1), "%d rows after %d", n, past)
				past += n
			}
			pages, rows := engine.StatePages(a, 0)
			require.Equal(t, 5, pages)
			require.Equal(t, 256, rows)
			pages, _ = engine.StatePages(b, 0)
			require.Equal(t, 1, pages)

			// A plan that reads the cache differently needs it in one piece;
			// the other continues from there.
			got, err := tapped.try(a, past, 5, 1)
			require.NoError(t, err)
			require.Equal(t, one.step(t, b, past, 5, 1), got)
			pages, _ = engine.StatePages(a, 0)
			require.Equal(t, 1, pages)
			past += 5
			for _, n := range []int{1, 700, 1, 1200, 1} {
				require.Equal(t, one.step(t, b, past, n, 1), in.step(t, a, past, n, 1), "%d rows after %d", n, past)
				past += n
			}
			a.Close()
			e.Memory().Reclaim()
			require.Zero(t, e.Memory().Held()[budget.State])
		})
	}
}

// TestSharedPages continues one cache in several sessions: each computes what
// it computes with its own cache, and the memory exists once except for the
// pages that they write to.
func TestSharedPages(t *testing.T) {
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, MemLimit: 1 << 30})
	require.NoError(t, err)
	defer e.Close()
	c := newCached(t, e, false, false)
	const prefix = 256*3 + 40
	first := e.NewSession()
	c.step(t, first, 0, prefix, 1)
	page := int64(2 * cachedHeads * 256 * 8 * 4)
	require.Equal(t, 2*4*page, e.Memory().Held()[budget.State])

	var sessions []*engine.Session
	purses := make([]*wallet, 4)
	for i := range purses {
		purses[i] = &wallet{}
		s := e.NewSession()
		s.Charge(purses[i])
		require.NoError(t, s.ShareState(first))
		require.Equal(t, 2*4*page, purses[i].used, "each session counts what it has")
		sessions = append(sessions, s)
	}
	require.Equal(t, 2*4*page, e.Memory().Held()[budget.State], "the budget counts it once")
	require.Error(t, sessions[0].ShareState(first), "it has state")
	require.Error(t, first.ShareState(first))

	for i, s := range sessions {
		alone := e.NewSession()
		c.step(t, alone, 0, prefix, 1)
		past := prefix
		for _, n := range []int{1, 1, 300, 1} {
			require.Equal(t, c.step(t, alone, past, n, 10+i), c.step(t, s, past, n, 10+i), "session %d, %d rows", i, n)
			past += n
		}
		alone.Close()
	}
	// Three full pages of each cache are still shared; every session has two of
	// its own.
	require.Equal(t, 2*(3+1+4*2)*page, e.Memory().Held()[budget.State])
	alone := e.NewSession()
	c.step(t, alone, 0, prefix, 1)
	require.Equal(t, c.step(t, alone, prefix, 2, 3), c.step(t, first, prefix, 2, 3), "the first one is as it was")
	alone.Close()
	first.Close()
	require.Equal(t, 2*(3+4*2)*page, e.Memory().Held()[budget.State])
	for i, s := range sessions {
		if i == 1 {
			s.Reset()
			c.step(t, s, 0, 5, 1)
		}
		s.Close()
		require.Zero(t, purses[i].used)
	}
	require.Zero(t, e.Memory().Held()[budget.State])
}

// TestPagesRefused gives a session no memory for another page, or for a copy of
// a shared one: the call is refused, the state is unchanged.
func TestPagesRefused(t *testing.T) {
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	c := newCached(t, e, false, false)
	page := int64(2 * cachedHeads * 256 * 8 * 4)
	first, s := e.NewSession(), e.NewSession()
	money := &wallet{limit: 2*2*page + page}
	s.Charge(money)
	c.step(t, first, 0, 300, 1)
	want := func(n int) []byte {
		alone := e.NewSession()
		defer alone.Close()
		c.step(t, alone, 0, 300, 1)
		return c.step(t, alone, 300, n, 2)
	}
	require.NoError(t, s.ShareState(first))
	require.Equal(t, 2*2*page, money.used)
	_, err = c.try(s, 300, 300, 2)
	require.Error(t, err, "a third page of each")
	bound := money.used
	require.Equal(t, want(7), c.step(t, s, 300, 7, 2), "copies in place of what was shared")
	require.Equal(t, want(9), c.step(t, first, 300, 9, 2))
	require.Equal(t, bound, money.used)
	s.Close()
	require.Zero(t, money.used)
}

// TestPagesDoNotAllocate takes steps within a page, far into a cache.
func TestPagesDoNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates; without it: go test -run TestPagesDoNotAllocate ./internal/engine")
	}
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 1})
	require.NoError(t, err)
	defer e.Close()
	c := newCached(t, e, false, false)
	s := e.NewSession()
	c.step(t, s, 0, 600, 1)
	past := 600
	inputs := make([]byte, 4*2*cachedHeads*8)
	bindings := make([]int, len(c.prog.Symbols()))
	step := func() {
		for i, sym := range c.prog.Symbols() {
			switch bindings[i] = 1; sym {
			case "past":
				bindings[i] = past
			case "batch":
				bindings[i] = 2
			}
		}
		call, err := s.NewCall(c.prog, bindings)
		if err != nil {
			panic(err)
		}
		for i := range c.prog.Plan().Inputs {
			if err := call.SetInput(i, inputs); err != nil {
				panic(err)
			}
		}
		if err := call.Run(context.Background()); err != nil {
			panic(err)
		}
		call.Release()
		past++
	}
	require.Zero(t, testing.AllocsPerRun(80, step))
}

// wallet counts what a session takes, up to a limit.
type wallet struct{ used, limit int64 }

func (w *wallet) Take(n int64) error {
	if w.limit > 0 && w.used+n > w.limit {
		return errors.New("too much")
	}
	w.used += n
	return nil
}

func (w *wallet) Give(n int64) { w.used -= n }
