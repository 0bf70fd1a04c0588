package tcp_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// constant is keepingPlan with a constant beside it, which makes it another plan.
func constant(n, bytes int) (*plan.Plan, transport.Weights) {
	p, weights := keepingPlan()
	data := make([]byte, bytes)
	copy(data, fmt.Sprintf("%08d", n))
	p.Values = append(p.Values, plan.Value{
		Kind: plan.KindConst, Name: "c", Buffer: plan.NoBuffer, Const: data,
		Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(bytes / 4)}},
	})
	return p, weights
}

// TestDroppedPlans prepares plans of a megabyte each and drops them: the session
// remembers their numbers. One that comes again has the number that it had.
func TestDroppedPlans(t *testing.T) {
	const plans, size = 64, 1 << 20
	w, ex, s := lied(t, nil)
	prepare := func(n int) {
		p, weights := constant(n, size)
		ref, err := s.Prepare(t.Context(), p, weights, nil)
		require.NoError(t, err)
		require.Equal(t, p.Hash(), ref.Hash())
	}
	heap := func() int64 {
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	prepare(0)
	before := heap()
	for n := range plans {
		prepare(n)
	}
	require.Less(t, heap()-before, int64(plans*size/4))
	sent := ex.Ledger().Snapshot()
	for n := range plans {
		prepare(n)
	}
	require.Zero(t, ex.Ledger().Snapshot().Sub(sent).Sent.Total())
	require.Zero(t, w.weights.Load())
}

// TestPlansOfASession prepares more plans than a session may have, at a worker that
// takes any number of them.
func TestPlansOfASession(t *testing.T) {
	_, _, s := lied(t, nil)
	for n := range wire.MaxPlans + 1 {
		p, weights := constant(n, 8)
		_, err := s.Prepare(t.Context(), p, weights, nil)
		if n < wire.MaxPlans {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, transport.ErrLimit)
	}
}
