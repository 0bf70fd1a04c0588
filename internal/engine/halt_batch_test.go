package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// chain is a plan of many products with one matrix, so that a batch of it takes
// about a second.
func chain(t testing.TB) *plan.Plan {
	s := newSteps(t)
	w := s.weight(plan.F32, 4096, 4096)
	x := s.f32(4, 4096)
	for range 100 {
		x = s.op(op.Tanh{}, s.op(op.MatMul{}, x, w))
	}
	return s.plan()
}

// TestCancelledLeavesBatch cancels one call of a batch, its leader and then
// another, while their products run: it returns at once and the other gets its
// result.
func TestCancelledLeavesBatch(t *testing.T) {
	z := newZeros(t)
	e, err := New(Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	p := prepare(t, e, chain(t))
	sessions := []*Session{e.NewSession(), e.NewSession()}
	for leaves := range sessions {
		t.Run(fmt.Sprintf("call=%d", leaves), func(t *testing.T) {
			best := time.Hour
			for try := 0; try < 5 && best > soon(); try++ {
				best = min(best, z.leaves(t, p, sessions, leaves))
			}
			require.LessOrEqual(t, best, soon())
		})
	}
}

// leaves is how long one of two calls of a batch takes to return when it is
// cancelled.
func (z zeros) leaves(t *testing.T, p *Program, sessions []*Session, who int) (took time.Duration) {
	waiting, release := HoldBatches(p)
	ctx, cancel := context.WithCancel(t.Context())
	type result struct {
		err error
		at  time.Time
	}
	results := []chan result{make(chan result, 1), make(chan result, 1)}
	for i, s := range sessions {
		c := z.call(t, s, p)
		require.True(t, c.Gathers())
		go func() {
			defer c.Release()
			with := t.Context()
			if i == who {
				with = ctx
			}
			err := c.Run(with)
			results[i] <- result{err, time.Now()}
		}()
		require.Eventually(t, func() bool { return waiting() == i+1 }, 10*time.Second, time.Millisecond)
	}
	release()
	var at time.Time
	time.AfterFunc(10*time.Millisecond, func() { at = time.Now(); cancel() })
	gone, other := <-results[who], <-results[1-who]
	require.ErrorIs(t, gone.err, context.Canceled)
	require.NoError(t, other.err)
	return gone.at.Sub(at)
}

// TestLongCallsRunApart verifies that a call with much work besides its
// products does not join a batch, where others would wait for it.
func TestLongCallsRunApart(t *testing.T) {
	z := newZeros(t)
	e, err := New(Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	n := plan.Sym("n")
	s := newSteps(t)
	s.op(op.MatMul{}, s.f32(1, 64), s.weight(plan.F32, 64, 64))
	big := s.f32(1, 64)
	s.p.Values[big].Spec.Shape = plan.Shape{n, plan.C(64)}
	s.op(op.Reduce{Kind: "sum", Axes: []int{0, 1}}, s.op(op.MatMul{TransA: true}, big, big))
	p := prepare(t, e, s.plan())
	session := e.NewSession()
	for size, gathers := range map[int]bool{1: true, 64: true, 1 << 20: false, 128: true} {
		c, err := session.NewCall(p, []int{size})
		require.NoError(t, err)
		require.Equal(t, gathers, c.Gathers(), size)
		if gathers {
			for i := range 2 {
				require.NoError(t, c.SetInput(i, z[:c.InputSize(i)]))
			}
			require.NoError(t, c.Run(t.Context()))
		}
		c.Release()
	}
}
