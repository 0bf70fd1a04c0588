package engine

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// TestGrowthStops cancels a call while it makes a state larger: the state is
// unchanged, and so are the budgets.
func TestGrowthStops(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	s := e.NewSession()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	run := func(past int, v float32) {
		c, err := s.NewCall(p, []int{past, 1})
		require.NoError(t, err)
		defer c.Release()
		require.NoError(t, c.SetInput(0, f32(v, v)))
		require.NoError(t, c.Run(t.Context()))
	}
	run(0, 1)
	held := e.budget.Held()
	for _, rows := range []int{1000, 100_000} {
		_, err = s.NewCallContext(gone, p, []int{1, rows})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, held[budget.State], e.budget.Held()[budget.State])
	}
	run(1, 2)
	c, err := s.NewCall(p, []int{2, 1000})
	require.NoError(t, err)
	defer c.Release()
	_, err = c.AllocInput(0)
	require.NoError(t, err)
	require.NoError(t, c.Run(t.Context()))
	_, h := c.Output(1)
	all, err := s.Read(h)
	require.NoError(t, err)
	require.Equal(t, f32(1, 1, 2, 2), all.Data[:16])
}

// TestPackingStops cancels the call that packs filters: they stay unchanged,
// and the next call packs them.
func TestPackingStops(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	s := newSteps(t)
	x := s.f32(1, 1, 2, 2)
	y := s.op(conv(1), x, s.weight(plan.F32, 2, 1, 1, 1))
	norm := make([]int, 4)
	for i := range norm {
		norm[i] = s.weight(plan.F32, 2)
	}
	s.op(op.BatchNorm{Eps: 1}, y, norm[0], norm[1], norm[2], norm[3])
	p := prepare(t, e, s.plan())
	session := e.NewSession()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	held := e.budget.Held()
	_, err = session.NewCallContext(gone, p, nil)
	require.ErrorIs(t, err, context.Canceled)
	held[budget.Plans] += p.bound // which the next call uses
	require.Equal(t, held, e.budget.Held())
	c, err := session.NewCall(p, nil)
	require.NoError(t, err)
	require.NoError(t, c.SetInput(0, f32(1, 2, 3, 4)))
	require.NoError(t, c.Run(t.Context()))
	c.Release()
}

// TestStateAfterHalt cancels runs during their writes: state that is written in
// place, or copied at the end, is lost; state that would have been replaced
// later has its value.
func TestStateAfterHalt(t *testing.T) {
	z := newZeros(t)
	for name, c := range map[string]struct {
		mode plan.StateMode
		make func(s *steps, in int) (out int)
		lost bool
	}{
		"write": {plan.StateWrite, func(s *steps, in int) int {
			return s.op(op.WriteRows{}, in, s.f32(many), s.input(plan.I32, 1))
		}, true},
		"computing": {plan.StateReplace, func(s *steps, in int) int { return s.op(op.Exp{}, in) }, false},
		"copying":   {plan.StateReplace, func(s *steps, _ int) int { return s.f32(many) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := New(Options{Device: cpu.Open, Threads: 2, MaxScratch: 1 << 36})
			require.NoError(t, err)
			defer e.Close()
			s := newSteps(t)
			in := s.value(plan.Value{Kind: plan.KindState, Name: "state", Spec: plan.Spec{DType: plan.F32, Shape: op.Static([]int{many})}, Buffer: plan.NoBuffer})
			s.state(c.mode, in, c.make(s, in))
			s.op(op.Exp{}, s.f32(1))
			p := prepare(t, e, s.plan())
			session := e.NewSession()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			call := z.call(t, session, p)
			time.AfterFunc(2*time.Millisecond, cancel)
			require.ErrorIs(t, call.Run(ctx), context.Canceled)
			call.Release()
			call, err = session.NewCall(p, nil)
			if c.lost {
				require.ErrorIs(t, err, transport.ErrState)
			} else {
				require.NoError(t, err)
				call.Release()
			}
		})
	}
}

// TestMaxStepFLOPs refuses sizes at which a step takes too long before anything of
// the call has run.
func TestMaxStepFLOPs(t *testing.T) {
	n, m := plan.Sym("n"), plan.Sym("m")
	s := newSteps(t)
	x := s.f32(1, 64)
	s.p.Values[x].Spec.Shape = plan.Shape{n, m}
	s.op(op.MatMul{TransB: true}, s.op(op.Exp{}, x), x)
	p := s.plan()
	e, err := New(Options{Device: cpu.Open, Threads: 2, MaxStepFLOPs: 1e9})
	require.NoError(t, err)
	defer e.Close()
	prog := prepare(t, e, p)
	session := e.NewSession()
	c, err := session.NewCall(prog, []int{1000, 500})
	require.NoError(t, err)
	c.Release()
	held := e.budget.Held()
	for _, sizes := range [][]int{{1000, 501}, {1 << 14, 1 << 14}, {1, 500_000_001}} {
		_, err = session.NewCall(prog, sizes)
		require.ErrorIs(t, err, transport.ErrLimit)
		require.Equal(t, held, e.budget.Held())
	}
	_, err = session.NewCall(prog, []int{1000, 501})
	require.EqualError(t, err, "genie: limit exceeded: step 1 (matmul) takes 1.002e+09 floating-point operations, a step may take 1e+09")
	c, err = session.NewCall(prog, []int{1000, 500})
	require.NoError(t, err)
	c.Release()
}

// TestWorkSaturates computes work of steps beyond any float64 or int.
func TestWorkSaturates(t *testing.T) {
	huge := []int{math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt, math.MaxInt}
	all := append(append([]int(nil), huge...), huge...)
	all = append(all, huge...)
	n := program.Work(op.Add(), [][]int{all, all}, all)
	require.True(t, math.IsInf(n, 1) || n > 1e300)
	require.InEpsilon(t, 1e6, program.Work(op.Concat{}, [][]int{{500, 1000}, {500, 1000}}, []int{1000, 1000}), 1e-9)
	require.Greater(t, program.Work(op.MaxPool2D{Kernel: [2]int{1 << 16, 1 << 16}}, [][]int{{1, 1, 1, 1}}, []int{1, 1, 1, 1}), 4e9)
	require.InEpsilon(t, 1.0, program.Work(op.Exp{}, nil, nil), 1e-9, "a scalar")
}
