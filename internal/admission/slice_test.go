package admission_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/admission"
)

const tick = time.Millisecond // how often a run asks

// long is a run that goes, and asks, until ctx ends.
func long(ctx context.Context, f *admission.Flow) (waited time.Duration) {
	t, err := f.Enter(ctx, nil)
	if err != nil {
		return 0
	}
	defer t.Leave()
	for ctx.Err() == nil {
		w, err := t.Yield(ctx)
		if waited += w; err != nil {
			break
		}
		<-time.After(tick)
	}
	return waited
}

// endless starts runs that request turns all the time, each in its own flow,
// and returns a function that ends them.
func endless(t *testing.T, s *admission.Scheduler, owner string, flows int) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	for range flows {
		f := s.Flow(owner)
		go func() {
			defer func() { f.Close(); ended <- struct{}{} }()
			long(ctx, f)
		}()
	}
	return func() {
		cancel()
		for range flows {
			<-ended
		}
	}
}

// TestSliceLeavesRoom verifies that runs without end, however many, do not keep
// another owner's waiting: not its first one either, of which nothing is known.
func TestSliceLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 2
		s := admission.New(admission.Options{MaxRunning: places})
		end := endless(t, s, "greedy", 16)
		<-time.After(time.Second)
		for range 100 {
			f := s.Flow("victim")
			begin := time.Now()
			_, err := work(t.Context(), f, 1, tick)
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(begin), 15*time.Millisecond)
			f.Close()
			<-time.After(17 * time.Millisecond)
		}
		require.LessOrEqual(t, s.Load().Paused, places)
		end()
		require.Zero(t, s.Load())
	})
}

// TestSliceOfLiars has flows that are known to be short become long, while others of
// their owner have given way to them: what they know does not buy them time.
func TestSliceOfLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.New(admission.Options{MaxRunning: 2})
		liars := make([]*admission.Flow, 8)
		for i := range liars {
			liars[i] = s.Flow("greedy")
			_, err := work(t.Context(), liars[i], 1, tick)
			require.NoError(t, err)
		}
		end := endless(t, s, "greedy", 4)
		<-time.After(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		for _, f := range liars {
			go func() {
				long(ctx, f)
				f.Close()
				ended <- struct{}{}
			}()
		}
		<-time.After(time.Second)
		for range 20 {
			f := s.Flow("victim")
			begin := time.Now()
			_, err := work(t.Context(), f, 1, tick)
			require.NoError(t, err)
			require.LessOrEqual(t, time.Since(begin), 15*time.Millisecond)
			f.Close()
			<-time.After(17 * time.Millisecond)
		}
		cancel()
		for range liars {
			<-ended
		}
		end()
		require.Zero(t, s.Load())
	})
}

// TestSliceIsFair lets owners with long runs share the time, however many flows
// each has and whichever came first.
func TestSliceIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := admission.New(admission.Options{MaxRunning: 1})
		end := endless(t, s, "first", 5)
		<-time.After(5 * time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		f := s.Flow("second")
		waited := long(ctx, f)
		require.InDelta(t, 5, waited.Seconds(), 0.3)
		f.Close()
		end()
		require.Zero(t, s.Load())
	})
}
