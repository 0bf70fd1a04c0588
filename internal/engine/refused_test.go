package engine

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// squarePlan is y[i] = sum over j of x[i] + z[j], computed from all n x n sums,
// which exist several times. y is retained.
func squarePlan(times int) *plan.Plan {
	n, one := plan.Sym("n"), plan.C(1)
	f := func(s ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: s} }
	p := &plan.Plan{
		Version: plan.Version, Name: "square", Buffers: times + 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: f(n, one), Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Name: "z", Spec: f(one, n), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(n), Buffer: times},
		},
		Inputs:  []plan.Port{{Name: "x", Value: 0}, {Name: "z", Value: 1}},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Retain}},
	}
	for i := range times {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: f(n, n), Buffer: i})
		p.Steps = append(p.Steps, plan.Step{Op: "add", In: []int{0, 1}, Out: 3 + i})
	}
	p.Steps = append(p.Steps, plan.Step{Op: "reduce", Attrs: op.Reduce{Kind: "sum", Axes: []int{1}}.Attrs(), In: []int{3}, Out: 2})
	return p
}

// TestSystemRefuses calls for more than the system has, without a limit:
// everything taken for the call is released, and the session continues.
func TestSystemRefuses(t *testing.T) {
	e := open(t, Options{Device: cpu.Open, Threads: 1, MaxScratch: 1 << 50})
	p, err := e.Compile(squarePlan(1024))
	require.NoError(t, err)
	s := e.NewSession()
	defer s.Close()
	b := &purse{limit: 1 << 30}
	s.Charge(b)
	run := func(n int) error {
		c, err := s.NewCall(p, []int{n})
		if err != nil {
			return err
		}
		defer c.Release()
		for i := range 2 {
			require.NoError(t, c.SetInput(i, make([]byte, 4*n)))
		}
		require.NoError(t, c.Run(t.Context()))
		_, h := c.Output(0)
		s.Release(h)
		return nil
	}
	require.NoError(t, run(10))
	before, bound := e.Memory().Held(), b.used
	require.ErrorIs(t, run(1<<18), transport.ErrMemory, "256 TiB, more than a process has addresses")
	require.LessOrEqual(t, e.Memory().Used(), before.Total())
	require.Equal(t, bound, b.used)
	require.NoError(t, run(10))
	require.Equal(t, before, e.Memory().Held())
}

// TestPrepareTakesNothing tells two sessions that a plan fits, although only
// one at a time does: a run takes its memory when it begins, so the other is
// refused before it computes, and has its turn afterwards. Retained values
// count.
func TestPrepareTakesNothing(t *testing.T) {
	const rows = 2000 // 16 kB of state, and as much retained
	e := open(t, Options{Device: cpu.Open, Threads: 1, MemLimit: 146 << 10})
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	var sessions [2]*Session
	for i := range sessions {
		sessions[i] = e.NewSession()
		defer sessions[i].Close()
		require.NoError(t, sessions[i].Use(p))
		require.NoError(t, e.Fits(p, nil))
	}
	require.Equal(t, p.size, e.Memory().Used(), "nothing but the plan is reserved by preparing")
	kept := func(s *Session) (*Call, error) {
		c, err := s.NewCall(p, []int{0, rows})
		if err != nil {
			return nil, err
		}
		require.NoError(t, c.SetInput(0, make([]byte, 8*rows)))
		require.NoError(t, c.Run(t.Context()))
		return c, nil
	}
	a, b := sessions[0], sessions[1]
	c, err := kept(a)
	require.NoError(t, err)
	require.EqualValues(t, 8*rows+keptHead, e.Stats().RetainedBytes, "on the Go heap, and in the budget")
	held := e.Memory().Held()
	_, err = kept(b)
	held[budget.Plans] += p.bound // which b retains for its next call
	m := memoryError(t, err)
	require.EqualValues(t, 146<<10, m.Limit)
	require.Equal(t, held, e.Memory().Held(), "refused before anything is taken")
	c.Release()
	_, err = kept(b)
	_ = memoryError(t, err) // a's state and retained value still exist
	_, h := c.Output(0)
	require.True(t, h.IsZero())
	_, h = c.Output(1)
	a.Release(h)
	a.Reset()
	require.Zero(t, e.Stats().RetainedBytes)
	c, err = kept(b)
	require.NoError(t, err)
	c.Release()
}

// TestBatchesInLittleMemory has more concurrent sessions than memory: each run
// is done in full or refused in full, and the limit holds at every moment.
func TestBatchesInLittleMemory(t *testing.T) {
	const limit = 176 << 10
	e := open(t, Options{Device: cpu.Open, Threads: 2, MemLimit: limit})
	p, err := e.Compile(squarePlan(1))
	require.NoError(t, err)
	var mu sync.Mutex
	ran, refused := 0, 0
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			s := e.NewSession()
			defer s.Close()
			if err := s.Use(p); err != nil {
				t.Error(err)
			}
			for range 200 {
				c, err := s.NewCall(p, []int{128}) // 64 KiB of sums
				if used := e.Memory().Used(); used > limit {
					t.Errorf("%d bytes used", used)
				}
				mu.Lock()
				if err != nil {
					refused++
				} else {
					ran++
				}
				mu.Unlock()
				if err != nil {
					if !errors.Is(err, transport.ErrMemory) {
						t.Error(err)
					}
					continue
				}
				for i := range 2 {
					if err := c.SetInput(i, make([]byte, 512)); err != nil {
						t.Error(err)
					}
				}
				if err := c.Run(t.Context()); err != nil {
					t.Errorf("a run that has begun is refused nothing: %v", err)
				}
				_, h := c.Output(0)
				s.Release(h)
				c.Release()
			}
		})
	}
	wg.Wait()
	require.Positive(t, ran)
	require.Positive(t, refused)
}
