package cluster_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/plan"
)

// meeting is a cluster of two stages, in which the second stage's first run waits
// until the first stage has begun another one: it never ends where stages take
// turns.
func meeting(t *testing.T, opts ...cluster.Option) transport.Executor {
	t.Helper()
	first, second := &faulty{Executor: smallLocal(t)}, &faulty{Executor: smallLocal(t)}
	var begun atomic.Int64
	another := make(chan struct{})
	first.set(func() error {
		if begun.Add(1) == 2 {
			close(another)
		}
		return nil
	})
	second.set(func() error {
		select {
		case <-another:
			return nil
		case <-t.Context().Done():
			return t.Context().Err()
		}
	})
	ex, err := cluster.New([]cluster.Member{{Executor: first}, {Executor: second}}, append(opts, halves())...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ex.Close()) })
	return ex
}

// TestSessionsOverlap has one session in the second stage while another one is in
// the first.
func TestSessionsOverlap(t *testing.T) {
	p, weights := stack(2, 8)
	ex := meeting(t)
	var group errgroup.Group
	for i := range 2 {
		s, ref, err := prepared(t, ex, p, weights)
		require.NoError(t, err)
		group.Go(func() error {
			_, err := s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{4}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 32, i)}}})
			return err
		})
	}
	require.NoError(t, group.Wait())
}

// TestMicroBatchesOverlap has one micro-batch in the second stage while the next one
// is in the first.
func TestMicroBatchesOverlap(t *testing.T) {
	p, weights := stack(2, 8)
	ex := meeting(t, cluster.WithMicroBatches(2, semantic.BatchSymbol))
	s, ref, err := prepared(t, ex, p, weights)
	require.NoError(t, err)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{4}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 32, 1)}}})
	require.NoError(t, err)
}

// TestBackPressure holds the number of micro-batches under way to that of rounds,
// and one more.
func TestBackPressure(t *testing.T) {
	const batches = 16
	p, weights := stack(2, 8)
	first, second := &faulty{Executor: smallLocal(t)}, &faulty{Executor: smallLocal(t)}
	var begun, ended, most atomic.Int64
	first.set(func() error {
		for now := begun.Add(1) - ended.Load(); ; {
			if have := most.Load(); now <= have || most.CompareAndSwap(have, now) {
				return nil
			}
		}
	})
	second.set(func() error { ended.Add(1); return nil })
	ex, err := cluster.New([]cluster.Member{{Executor: first}, {Executor: second}}, halves(), cluster.WithMicroBatches(batches, semantic.BatchSymbol))
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, ref, err := prepared(t, ex, p, weights)
	require.NoError(t, err)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{4 * batches}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 8*4*batches, 1)}}})
	require.NoError(t, err)
	require.EqualValues(t, batches, begun.Load())
	require.LessOrEqual(t, most.Load(), int64(3))
}

// BenchmarkPass is a run of a plan that one member has, without a cluster and with
// one.
func BenchmarkPass(b *testing.B) {
	for _, members := range []int{0, 1, 3} {
		b.Run(benchname.Of("pass", "cluster", fmt.Sprintf("members=%d", members)), func(b *testing.B) {
			p, weights := stack(2, 64)
			ex := smallLocal(b)
			if members > 0 {
				list := []cluster.Member{{Executor: ex}}
				for range members - 1 {
					list = append(list, cluster.Member{Executor: smallLocal(b)})
				}
				var err error
				ex, err = cluster.New(list)
				require.NoError(b, err)
			}
			defer func() { require.NoError(b, ex.Close()) }()
			s, ref, err := prepared(b, ex, p, weights)
			require.NoError(b, err)
			call := transport.Call{Plan: ref, Bindings: []int{1}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 64, 1)}}}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Run(b.Context(), call); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
