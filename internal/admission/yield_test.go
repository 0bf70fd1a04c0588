package admission_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/admission"
)

// work is a run of n steps of d each, which yields between them.
func work(ctx context.Context, f *admission.Flow, n int, d time.Duration) (waited time.Duration, err error) {
	t, err := f.Enter(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer t.Leave()
	for range n {
		w, err := t.Yield(ctx)
		if waited += w; err != nil {
			return waited, err
		}
		<-time.After(d)
	}
	return waited, nil
}

// TestYield has short runs arrive while long ones take every place, in virtual
// time: they wait for a step, and the long ones resume after them.
func TestYield(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places, step, short = 2, 3 * time.Millisecond, time.Millisecond
		s := admission.New(admission.Options{MaxRunning: places})
		ctx, cancel := context.WithCancel(t.Context())
		const greedy = 6
		ended := make(chan struct{}, greedy)
		var long atomic.Int64
		for range greedy {
			f := s.Flow("")
			go func() {
				defer func() { f.Close(); ended <- struct{}{} }()
				for ctx.Err() == nil {
					waited, err := work(t.Context(), f, 100, step)
					if err != nil {
						return
					}
					if waited > 0 {
						long.Add(1)
					}
				}
			}()
		}
		f := s.Flow("")
		_, err := work(ctx, f, 1, short) // so that it is known to be short
		require.NoError(t, err)
		for range 200 {
			begin := time.Now()
			_, err := work(ctx, f, 1, short)
			require.NoError(t, err)
			// A run that has just begun yields after four times the other's
			// duration: two steps. Before them may be the last step of a run
			// whose place a long run takes that has waited for longer.
			require.LessOrEqual(t, time.Since(begin), 3*step+short)
			load := s.Load()
			require.Equal(t, greedy+1, load.Flows)
			require.Equal(t, places, load.Running)
			require.LessOrEqual(t, load.Paused, greedy)
			<-time.After(20 * time.Millisecond)
		}
		require.Positive(t, long.Load())
		cancel()
		for range greedy {
			<-ended
		}
		f.Close()
		require.Zero(t, s.Load())
	})
}

// TestYieldEnds cancels a run that has given way.
func TestYieldEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.New(admission.Options{MaxRunning: 1})
		quick, slow := s.Flow("a"), s.Flow("b")
		_, err := work(t.Context(), quick, 1, time.Millisecond)
		require.NoError(t, err)
		enough := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			_, err := work(ctx, slow, 100, 10*time.Millisecond)
			done <- err
		}()
		<-time.After(time.Millisecond)
		ticket, err := quick.Enter(t.Context(), nil)
		require.NoError(t, err)
		require.Equal(t, admission.Load{Flows: 2, Waiting: 1, Running: 1, Paused: 1}, s.Load())
		cancel(enough)
		require.ErrorIs(t, <-done, enough)
		ticket.Leave()
		quick.Close()
		slow.Close()
		require.Zero(t, s.Load())
	})
}
