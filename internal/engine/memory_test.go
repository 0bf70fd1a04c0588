package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// sumPlan is y = x + w over n floats; w is filled with the number fill.
func sumPlan(fill float32, n int) (*plan.Plan, []byte) {
	values := make([]float32, n)
	for i := range values {
		values[i] = fill
	}
	w := f32(values...)
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}}
	return &plan.Plan{
		Version: plan.Version, Name: "sum", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: spec, Buffer: plan.NoBuffer, Hash: transport.HashWeight(plan.F32, []int{n}, w), Storage: plan.F32},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 1}, Out: 2}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Download, Cause: plan.CauseActivation}},
	}, w
}

// sums prepares a sumPlan in a session and uploads the missing weights.
func sums(t testing.TB, e *Engine, s *Session, fill float32, n int) (*Program, error) {
	p, w := sumPlan(fill, n)
	prog, err := e.Compile(p)
	if err != nil {
		return nil, err
	}
	if err := s.Use(prog); err != nil {
		return nil, err
	}
	if err := e.Fits(prog, nil); err != nil {
		s.Leave(prog)
		return nil, err
	}
	for _, v := range e.Missing(prog) {
		ww, err := e.PutWeight(prog, v)
		if err != nil {
			return nil, err
		}
		_, err = ww.Write(w)
		require.NoError(t, err)
		require.NoError(t, ww.Commit())
	}
	return prog, nil
}

func runSum(t testing.TB, s *Session, p *Program, fill float32, n int) error {
	c, err := s.NewCall(p, nil)
	if err != nil {
		return err
	}
	defer c.Release()
	require.NoError(t, c.SetInput(0, make([]byte, 4*n)))
	require.NoError(t, c.Run(context.Background()))
	out, _ := c.Output(0)
	_, want := sumPlan(fill, n)
	require.True(t, bytes.Equal(want, out.Data))
	return nil
}

func open(t testing.TB, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, e.Close())
		require.Zero(t, e.Memory().Used(), "all is given back: %v", e.Memory().Held())
	})
	return e
}

func memoryError(t testing.TB, err error) *transport.MemoryError {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrMemory)
	m, ok := errors.AsType[*transport.MemoryError](err)
	require.True(t, ok, "%v", err)
	require.Greater(t, m.Need, m.Free)
	require.NotEmpty(t, m.For)
	return m
}

// TestWeightsGoWhenUnused evicts in the order of last use, never what an open
// session uses, and requests evicted weights again.
func TestWeightsGoWhenUnused(t *testing.T) {
	const n = 1 << 18 // a weight of 1 MiB
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: 6 << 20})
	a, b := e.NewSession(), e.NewSession()
	first, err := sums(t, e, a, 1, n)
	require.NoError(t, err)
	second, err := sums(t, e, b, 2, n)
	require.NoError(t, err)
	require.NoError(t, runSum(t, a, first, 1, n))
	b.Close()
	c := e.NewSession()
	third, err := sums(t, e, c, 3, n)
	require.NoError(t, err)
	require.EqualValues(t, 3, e.Stats().Weights, "nothing goes while there is room")
	c.Close()
	require.Empty(t, e.Missing(third))

	d := e.NewSession()
	defer d.Close()
	fourth, err := sums(t, e, d, 4, 2*n)
	require.NoError(t, err)
	require.NoError(t, runSum(t, a, first, 1, n))
	require.Empty(t, e.Missing(first), "in use")
	require.Len(t, e.Missing(second), 1, "used longest ago")
	require.Empty(t, e.Missing(third))
	fifth := func() (*Program, error) { return sums(t, e, d, 5, 3*n+n/4) }
	_, err = fifth()
	m := memoryError(t, err)
	require.EqualValues(t, 3<<20+1<<18+weightHead, m.Need)
	require.Equal(t, 3<<20-3*first.size-2*weightHead, m.Free, "but for the plans that are in use, the fifth among them")
	require.EqualValues(t, 6<<20, m.Limit)
	require.Empty(t, e.Missing(third), "nothing goes for what would not fit all the same")
	require.NoError(t, runSum(t, a, first, 1, n), "other sessions continue")
	a.Close()
	_, err = fifth()
	require.NoError(t, err)
	require.Empty(t, e.Missing(fourth), "in use")
	require.Len(t, e.Missing(first), 1)
	require.Len(t, e.Missing(third), 1)
	require.EqualValues(t, 3, e.Stats().WeightEvictions)
	d.Close()
	f := e.NewSession()
	defer f.Close()
	again, err := sums(t, e, f, 2, n)
	require.NoError(t, err, "what has gone is sent again")
	require.NoError(t, runSum(t, f, again, 2, n))
}

// TestWeightReserve verifies that a weight that does not fit is refused before
// memory is taken, and that an aborted one leaves nothing.
func TestWeightReserve(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: 3 << 20})
	s := e.NewSession()
	defer s.Close()
	p, w := sumPlan(1, 1<<19)
	prog, err := e.Compile(p)
	require.NoError(t, err)
	require.NoError(t, s.Use(prog))
	ww, err := e.PutWeight(prog, p.Values[1])
	require.NoError(t, err)
	require.Equal(t, 2<<20+weightHead+prog.size, e.Memory().Used())
	_, err = e.PutWeight(prog, p.Values[1])
	require.ErrorIs(t, err, transport.ErrMemory)
	require.Equal(t, 2<<20+weightHead+prog.size, e.Memory().Used())
	_, err = ww.Write(w[:100])
	require.NoError(t, err)
	require.ErrorIs(t, ww.Commit(), transport.ErrCorrupt)
	require.Equal(t, prog.size, e.Memory().Used())
}

// appended runs the append plan once and checks the sum over all rows.
func appended(t *testing.T, s *Session, p *Program, past, rows int) error {
	c, err := s.NewCall(p, []int{past, rows})
	if err != nil {
		return err
	}
	defer c.Release()
	in := make([]float32, 2*rows)
	for i := range in {
		in[i] = 1
	}
	require.NoError(t, c.SetInput(0, f32(in...)))
	require.NoError(t, c.Run(context.Background()))
	out, _ := c.Output(0)
	require.Equal(t, f32(float32(past+rows), float32(past+rows)), out.Data)
	_, h := c.Output(1)
	s.Release(h)
	return nil
}

// TestStateGrowsWithinTheLimit appends until there is no room, at limits of any
// size: a refused call takes nothing and leaves the state unchanged, and a call
// that begins ends.
func TestStateGrowsWithinTheLimit(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 200 {
		limit := int64(40_000 + rng.IntN(200_000)) // the plan and its binding take half of the smallest limit
		e := open(t, Options{Device: cpu.Open, Threads: 2, MemLimit: limit})
		p, err := e.Compile(appendPlan())
		require.NoError(t, err)
		s := e.NewSession()
		past, rows := 0, 1+rng.IntN(400)
		for past < 20_000 {
			before := e.Memory().Held()
			err := appended(t, s, p, past, rows)
			require.LessOrEqual(t, e.Memory().Used(), limit)
			if err != nil {
				refused++
				m := memoryError(t, err)
				require.Equal(t, limit, m.Limit)
				after := e.Memory().Held()
				require.Equal(t, before[budget.State], after[budget.State])
				require.Equal(t, before[budget.Retained], after[budget.Retained])
				require.LessOrEqual(t, after[budget.Scratch], before[budget.Scratch])
				if rows == 1 {
					break
				}
				rows = 1 // less may fit, from the same state
				continue
			}
			past += rows
		}
		s.Reset()
		require.Zero(t, e.Memory().Held()[budget.State])
		s.Close()
	}
	require.Greater(t, refused, 150)
}

// TestSessionMemory bounds the memory of one session; another has its own.
func TestSessionMemory(t *testing.T) {
	const quota = 40_000
	e := open(t, Options{Device: cpu.Open, Threads: 1, SessionMemory: quota})
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	for range 2 {
		s := e.NewSession()
		past := 0
		for err == nil {
			if err = appended(t, s, p, past, 100); err == nil {
				past += 100
			}
		}
		m := memoryError(t, err)
		require.EqualValues(t, quota, m.Limit)
		require.Contains(t, m.For, "session")
		// A row is 8 bytes in the state and as much in the retained output.
		require.InDelta(t, quota/2, 8*past, 8*200)
		err = nil
		held := e.Stats().StateBytes
		require.LessOrEqual(t, held, int64(quota)*2)
		defer s.Close()
	}
}

// TestKeptValuesCount counts outputs that stay until they are released.
func TestKeptValuesCount(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1})
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	s := e.NewSession()
	var handles []transport.Handle
	want := int64(0)
	for past := 0; past < 40; past += 10 {
		c, err := s.NewCall(p, []int{past, 10})
		require.NoError(t, err)
		require.NoError(t, c.SetInput(0, make([]byte, 80)))
		require.NoError(t, c.Run(context.Background()))
		_, h := c.Output(1)
		c.Release()
		handles = append(handles, h)
		want += int64(8*(past+10)) + keptHead
		require.Equal(t, want, e.Stats().RetainedBytes)
	}
	s.Release(handles[:2]...)
	s.Release(handles[:2]...)
	require.Equal(t, int64(8*(30+40)+2*keptHead), e.Stats().RetainedBytes)
	st := e.Stats()
	require.Equal(t, st.MemoryUsed, st.WeightBytes+st.StateBytes+st.RetainedBytes+st.ScratchBytes+st.StagingBytes+st.PlanBytes)
	s.Close()
	require.Zero(t, e.Stats().RetainedBytes)
	require.Zero(t, e.Stats().StateBytes)
}

// TestProgramsGoWhenUnused bounds plans that no session uses and keeps the
// others.
func TestProgramsGoWhenUnused(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1, MaxPlans: 3})
	s := e.NewSession()
	used, err := sums(t, e, s, 1, 4)
	require.NoError(t, err)
	var progs []*Program
	for i := range 5 {
		p, _ := sumPlan(1, 10+i)
		prog, err := e.Compile(p)
		require.NoError(t, err)
		progs = append(progs, prog)
		_, ok := e.Program(progs[0].Hash()) // used again and again
		require.True(t, ok)
	}
	has := func(p *Program) bool { _, ok := e.Program(p.Hash()); return ok }
	require.True(t, has(used))
	require.True(t, has(progs[0]))
	require.False(t, has(progs[1]))
	require.False(t, has(progs[2]))
	require.EqualValues(t, 4, e.Stats().Plans)
	require.NoError(t, s.Use(progs[1]), "a session that has one may still use it")
	require.True(t, has(progs[1]))
	s.Close()
	require.EqualValues(t, 3, e.Stats().Plans)
}

// TestSessionsComeAndGo opens, runs, is refused and closes from many goroutines
// in little memory. No result is wrong, the limit holds at every moment, and
// all memory is released.
func TestSessionsComeAndGo(t *testing.T) {
	const n, limit = 1 << 14, 900 << 10 // weights of 64 KiB
	e := open(t, Options{Device: cpu.Open, Threads: 2, MemLimit: limit, SessionMemory: 100 << 10, MaxPlans: 4})
	grows, err := e.Compile(appendPlan())
	require.NoError(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	refused, ran := 0, 0
	note := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			ran++
			return
		}
		if !errors.Is(err, transport.ErrMemory) {
			t.Error(err)
		}
		refused++
	}
	for g := range 8 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 7))
			for range 40 {
				s := e.NewSession()
				fill := float32(1 + rng.IntN(12))
				prog, err := sums(t, e, s, fill, n)
				if err == nil {
					for range 3 {
						note(runSum(t, s, prog, fill, n))
					}
				} else {
					note(err)
				}
				past := 0
				for range 4 {
					rows := 1 + rng.IntN(2000)
					err := appended(t, s, grows, past, rows)
					note(err)
					if err == nil {
						past += rows
					}
					if used := e.Memory().Used(); used > limit {
						t.Errorf("%d bytes used", used)
					}
				}
				s.Close()
			}
		})
	}
	wg.Wait()
	require.Positive(t, ran)
	require.Positive(t, refused)
	st := e.Stats()
	require.Zero(t, st.StateBytes)
	require.Zero(t, st.RetainedBytes)
	require.Positive(t, st.WeightEvictions)
	e.Memory().Reclaim()
	require.Zero(t, e.Memory().Used(), fmt.Sprint(e.Memory().Held()))
}
