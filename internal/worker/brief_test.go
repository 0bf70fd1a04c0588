package worker_test

import (
	"context"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// received reports whether it is called by a goroutine that receives.
func received() bool { return strings.Contains(string(debug.Stack()), ".(*conn).runHere(") }

// brief starts a worker that takes any run for a brief one that is like the last.
func brief(t *testing.T, h *hooked, change func(*worker.Options)) *workertest.Worker {
	t.Helper()
	return workertest.Start(t, func(o *worker.Options) {
		h.Engine = o.Engine
		o.Engine, o.MaxRunning = h, 64
		worker.SetBrief(o, time.Hour)
		if change != nil {
			change(o)
		}
	})
}

// counting is a session of ex with the counter prepared; run runs it and checks
// that it is run n of the session.
func counting(t *testing.T, ex transport.Executor) (s transport.Session, run func(n int)) {
	t.Helper()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
	return s, func(n int) {
		t.Helper()
		res, err := s.Run(t.Context(), call)
		require.NoError(t, err)
		require.Equal(t, floats(float32(100*n), float32(200*n)), res.Outputs[0].Tensor.Data)
		require.NoError(t, s.Release(t.Context(), res.Outputs[1].Handle))
	}
}

// TestBriefRuns holds which runs the receiving goroutine does: those that are like
// one that was brief, and never batched calls, which wait for others.
func TestBriefRuns(t *testing.T) {
	dials := map[string]func(w *workertest.Worker) (transport.Executor, error){
		"tcp":  func(w *workertest.Worker) (transport.Executor, error) { return tcp.Dial(t.Context(), w.TCP) },
		"grpc": func(w *workertest.Worker) (transport.Executor, error) { return rpc.Dial(t.Context(), w.GRPC) },
	}
	for _, tt := range []struct {
		name    string
		limit   time.Duration
		gathers bool
		want    bool
	}{
		{"brief", time.Hour, false, true},
		{"not brief", 1, false, false},
		{"batched", time.Hour, true, false},
	} {
		for name, dial := range dials {
			t.Run(tt.name+"/"+name, func(t *testing.T) {
				var here atomic.Bool
				h := &hooked{
					run:     func(context.Context) error { here.Store(received()); return nil },
					gathers: func([]int) bool { return tt.gathers },
				}
				ex, err := dial(brief(t, h, func(o *worker.Options) { worker.SetBrief(o, tt.limit) }))
				require.NoError(t, err)
				defer func() { require.NoError(t, ex.Close()) }()
				s, run := counting(t, ex)
				run(1)
				require.False(t, here.Load(), "nothing was known of it")
				for n := 2; n < 5; n++ {
					// The session's goroutine may not have done with the run before.
					require.Eventually(t, func() bool {
						require.NoError(t, s.Reset(t.Context()))
						run(1)
						return here.Load() == tt.want
					}, 5*time.Second, time.Millisecond)
				}
			})
		}
	}
}

// TestBriefRunThatIsNot hangs a run on the receiving goroutine: another one
// receives, for the other sessions of the connection, for what the session is to do
// next, and for what ends the run.
func TestBriefRunThatIsNot(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(t *testing.T, cancel, finish func(), ex transport.Executor, w *workertest.Worker)
		want error // of the run
	}{
		{"done", func(_ *testing.T, _, finish func(), _ transport.Executor, _ *workertest.Worker) { finish() }, nil},
		{"cancelled", func(_ *testing.T, cancel, _ func(), _ transport.Executor, _ *workertest.Worker) { cancel() }, context.Canceled},
		{"closed", func(t *testing.T, _, _ func(), ex transport.Executor, _ *workertest.Worker) {
			require.NoError(t, ex.Close())
		}, transport.ErrClosed},
		{"shut down", func(t *testing.T, _, _ func(), _ transport.Executor, w *workertest.Worker) {
			require.NoError(t, w.Server.Close())
		}, transport.ErrUnreachable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var hangs, here atomic.Bool
			began, finish := make(chan struct{}), make(chan struct{})
			w := brief(t, &hooked{run: func(ctx context.Context) error {
				here.Store(received())
				if !hangs.Swap(false) {
					return nil
				}
				close(began)
				select {
				case <-finish:
					return nil
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}}, nil)
			ex, err := tcp.Dial(t.Context(), w.TCP)
			require.NoError(t, err)
			t.Cleanup(func() { _ = ex.Close() })
			s, call, n := hanging(t, ex, &here)
			hangs.Store(true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcome := make(chan error, 1)
			go func() {
				_, err := s.Run(ctx, call)
				outcome <- err
			}()
			<-began
			require.True(t, here.Load())
			other, run := counting(t, ex) // the connection works
			run(1)
			run(2)
			require.NoError(t, other.Close())
			next := make(chan error, 1)
			go func() { next <- s.Reset(t.Context()) }() // and the session is still at its run
			tt.end(t, cancel, func() { close(finish) }, ex, w)
			require.ErrorIs(t, <-outcome, tt.want)
			if tt.want == nil || tt.name == "cancelled" {
				require.NoError(t, <-next)
				res, err := s.Run(t.Context(), call)
				require.NoError(t, err)
				require.Equal(t, floats(100, 200), res.Outputs[0].Tensor.Data, "after %d runs and a Reset", n)
				return
			}
			require.Error(t, <-next)
			require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 }, 5*time.Second, time.Millisecond)
		})
	}
}

// hanging is a session whose next run will be done by the receiving goroutine, as
// here says of the last one, after n runs.
func hanging(t *testing.T, ex transport.Executor, here *atomic.Bool) (s transport.Session, call transport.Call, n int) {
	t.Helper()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	call = transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
	require.Eventually(t, func() bool {
		n++
		_, err := s.Run(t.Context(), call)
		require.NoError(t, err)
		return here.Load()
	}, 5*time.Second, time.Millisecond)
	return s, call, n
}

// TestBriefRunsBesideEachOther verifies that sessions of one connection which
// take turns keep their own goroutines, in which their runs can go at one time.
func TestBriefRunsBesideEachOther(t *testing.T) {
	var here atomic.Bool
	w := brief(t, &hooked{run: func(context.Context) error { here.Store(received()); return nil }}, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	_, one := counting(t, ex)
	_, other := counting(t, ex)
	n := 1
	for ; n < 10; n++ {
		one(n)
		require.False(t, here.Load())
		other(n)
		require.False(t, here.Load())
	}
	require.Eventually(t, func() bool { // alone
		other(n)
		n++
		return here.Load()
	}, 5*time.Second, time.Millisecond)
}

// TestBriefRunPanics verifies that a run which panics on the goroutine that
// receives is an error of that run alone, and is not taken for brief again.
func TestBriefRunPanics(t *testing.T) {
	var panics, here atomic.Bool
	w := brief(t, &hooked{run: func(context.Context) error {
		here.Store(received())
		if panics.Swap(false) {
			panic("in a run")
		}
		return nil
	}}, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, call, _ := hanging(t, ex, &here)
	for range 3 {
		panics.Store(true)
		_, err = s.Run(t.Context(), call)
		require.ErrorIs(t, err, transport.ErrInternal)
		require.True(t, here.Load())
		_, err = s.Run(t.Context(), call)
		require.NoError(t, err)
		require.False(t, here.Load(), "the run before was not brief")
		require.Eventually(t, func() bool {
			_, err := s.Run(t.Context(), call)
			require.NoError(t, err)
			return here.Load()
		}, 5*time.Second, time.Millisecond)
	}
}
