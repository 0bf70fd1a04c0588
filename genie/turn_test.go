package genie_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// prompt is how long a call whose context has ended may take to return.
const prompt = 2 * time.Second

// stuck is an executor whose sessions stop in the calls of one name, until they
// are released or, unless it is deaf, their context ends.
type stuck struct {
	transport.Executor
	in    atomic.Value // string
	deaf  bool
	there chan struct{} // takes a token for each call that stops
	free  chan struct{}
}

func newStuck(t *testing.T, deaf bool) *stuck {
	t.Helper()
	x, err := local.Open(local.WithThreads(1))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, x.Close()) })
	e := &stuck{Executor: x, deaf: deaf, there: make(chan struct{}, 16), free: make(chan struct{})}
	e.in.Store("")
	return e
}

func (e *stuck) NewSession(ctx context.Context) (transport.Session, error) {
	s, err := e.Executor.NewSession(ctx)
	if err != nil {
		return nil, err
	}
	return &stuckSession{s, e}, nil
}

func (e *stuck) stop(ctx context.Context, call string) error {
	if e.in.Load() != call {
		return nil
	}
	e.there <- struct{}{}
	done := ctx.Done()
	if e.deaf {
		done = nil
	}
	select {
	case <-e.free:
		return nil
	case <-done:
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
}

type stuckSession struct {
	transport.Session
	e *stuck
}

func (s *stuckSession) Run(ctx context.Context, c transport.Call) (transport.Result, error) {
	if err := s.e.stop(ctx, "run"); err != nil {
		return transport.Result{}, err
	}
	return s.Session.Run(ctx, c)
}

func (s *stuckSession) Prepare(ctx context.Context, p *plan.Plan, w transport.WeightSource, f transport.Progress) (transport.PlanRef, error) {
	if err := s.e.stop(ctx, "prepare"); err != nil {
		return nil, err
	}
	return s.Session.Prepare(ctx, p, w, f)
}

func (s *stuckSession) Reset(ctx context.Context) error {
	if err := s.e.stop(ctx, "reset"); err != nil {
		return err
	}
	return s.Session.Reset(ctx)
}

func (s *stuckSession) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	if err := s.e.stop(ctx, "read"); err != nil {
		return transport.Tensor{}, err
	}
	return s.Session.Read(ctx, h)
}

// sessionCalls are calls of a session of an rnn that wait for their turn.
var sessionCalls = map[string]func(ctx context.Context, s *genie.Session, y *lazy.Tensor) error{
	"run": func(ctx context.Context, s *genie.Session, y *lazy.Tensor) error {
		_, err := s.Run(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, y)
		return err
	},
	"keep": func(ctx context.Context, s *genie.Session, y *lazy.Tensor) error {
		_, err := s.RunRetain(ctx, genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, y)
		return err
	},
	"prepare": func(ctx context.Context, s *genie.Session, y *lazy.Tensor) error {
		return s.Prepare(ctx, semantic.Profile{Phase: semantic.PhaseForward}, y)
	},
	"reset": func(ctx context.Context, s *genie.Session, _ *lazy.Tensor) error { return s.Reset(ctx) },
}

// waitersGo verifies that calls of a session during another call's turn return
// when their context ends, and that ExecutorTime never waits.
func waitersGo(t *testing.T, s *genie.Session, y *lazy.Tensor) {
	t.Helper()
	for name, call := range sessionCalls {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		begin := time.Now()
		err := call(ctx, s, y)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.Less(t, time.Since(begin), prompt, name)
		s.ExecutorTime()
	}
}

// TestWaitersGo stops a session in each of its calls to the executor, on one that
// does not even look at contexts, and has others wait for it.
func TestWaitersGo(t *testing.T) {
	for _, call := range []string{"run", "prepare", "reset"} {
		t.Run(call, func(t *testing.T) {
			e := newStuck(t, true)
			c := genie.NewClient(e)
			s, y := session(t, c), rnn()
			require.NoError(t, sessionCalls["run"](t.Context(), s, y), "there is something to reset")
			last := s.ExecutorTime()
			require.Positive(t, last)
			if call == "prepare" {
				y = rnn() // another program
				lazy.Add(y, y)
			}
			e.in.Store(call)
			ended := make(chan error, 1)
			go func() { ended <- sessionCalls[call](t.Context(), s, y) }()
			<-e.there
			waitersGo(t, s, y)
			require.Equal(t, last, s.ExecutorTime())
			close(e.free)
			require.NoError(t, <-ended)
		})
	}
}

// TestCloseCancels closes a session that is stopped in a call of the executor: the
// call ends, and so does one that waits.
func TestCloseCancels(t *testing.T) {
	for _, call := range []string{"run", "prepare", "reset"} {
		t.Run(call, func(t *testing.T) {
			e := newStuck(t, false)
			s, y := session(t, genie.NewClient(e)), rnn()
			require.NoError(t, sessionCalls["run"](t.Context(), s, y))
			if call == "prepare" {
				y = rnn()
				lazy.Add(y, y)
			}
			e.in.Store(call)
			ended, waits := make(chan error, 1), make(chan error, 1)
			go func() { ended <- sessionCalls[call](t.Context(), s, y) }()
			<-e.there
			go func() { waits <- sessionCalls["run"](t.Context(), s, y) }()
			require.NoError(t, s.Close())
			require.ErrorIs(t, <-ended, genie.ErrClosed)
			require.ErrorIs(t, <-waits, genie.ErrClosed)
			require.ErrorIs(t, s.Reset(t.Context()), genie.ErrClosed)
			require.NoError(t, s.Close())
		})
	}
}

// TestCloseDoesNotWait closes a session whose executor is deaf: a call that waits
// for the session's turn ends nevertheless.
func TestCloseDoesNotWait(t *testing.T) {
	e := newStuck(t, true)
	s, y := session(t, genie.NewClient(e)), rnn()
	e.in.Store("run")
	ended, waits := make(chan error, 1), make(chan error, 1)
	go func() { ended <- sessionCalls["run"](t.Context(), s, y) }()
	<-e.there
	go func() { waits <- sessionCalls["run"](t.Context(), s, y) }()
	require.NoError(t, s.Close())
	require.ErrorIs(t, <-waits, genie.ErrClosed)
	close(e.free)
	require.ErrorIs(t, <-ended, genie.ErrClosed)
}

// TestReadersGo reads one value from two goroutines, the first of which is stopped:
// the other one gives up with its context. The value is then fetched once.
func TestReadersGo(t *testing.T) {
	e := newStuck(t, true)
	s, y := session(t, genie.NewClient(e)), rnn()
	out, err := s.RunRetain(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 2}, 1, 2)}, y)
	require.NoError(t, err)
	require.True(t, out[0].Remote())
	e.in.Store("read")
	read := make(chan error, 1)
	go func() {
		_, err := out[0].Tensor(t.Context())
		read <- err
	}()
	<-e.there
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = out[0].Tensor(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(e.free)
	require.NoError(t, <-read)
	_, err = out[0].Tensor(t.Context())
	require.NoError(t, err)
	require.Empty(t, e.there, "one fetch")
}

// TestWaitersGoOnAStalledLink stops the way to a worker in the middle of a run.
func TestWaitersGoOnAStalledLink(t *testing.T) {
	w := workertest.Start(t, nil)
	for scheme, target := range map[string]string{"tcp": w.TCP, "grpc": w.GRPC} {
		t.Run(scheme, func(t *testing.T) {
			var stall atomic.Bool
			link, err := fault.Start(target, fault.Options{Decide: func(fault.Piece) fault.Verdict {
				if stall.Load() {
					return fault.Verdict{Action: fault.Stall}
				}
				return fault.Verdict{}
			}})
			require.NoError(t, err)
			defer func() { require.NoError(t, link.Close()) }()
			c, err := genie.Open(t.Context(), scheme+"://"+link.Addr(), genie.WithHeartbeat(-1))
			require.NoError(t, err)
			s, y := session(t, c), rnn()
			require.NoError(t, sessionCalls["run"](t.Context(), s, y))
			stall.Store(true)
			ended := make(chan error, 1)
			before := link.Faults()
			go func() { ended <- sessionCalls["run"](t.Context(), s, y) }()
			require.Eventually(t, func() bool { return link.Faults() > before }, 10*time.Second, time.Millisecond)
			waitersGo(t, s, y)
			begin := time.Now()
			require.NoError(t, c.Close())
			require.ErrorIs(t, <-ended, genie.ErrClosed)
			require.Less(t, time.Since(begin), 2*prompt)
		})
	}
}
