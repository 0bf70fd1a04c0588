package worker_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// gate is a worker whose runs wait until the test lets one go.
type gate struct {
	*workertest.Worker
	runs  atomic.Int64
	began chan struct{} // a token for each run that has begun
	open  chan struct{} // lets runs go: one for each token, all when closed
}

func newGate(t *testing.T, change func(*worker.Options)) *gate {
	g := &gate{began: make(chan struct{}, 1024), open: make(chan struct{})}
	g.Worker = workertest.Start(t, func(o *worker.Options) {
		o.Engine = &hooked{Engine: o.Engine, run: func(ctx context.Context) error {
			g.runs.Add(1)
			g.began <- struct{}{}
			select {
			case <-g.open:
				return nil
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}}
		if change != nil {
			change(o)
		}
	})
	return g
}

// join opens a session over a connection of its own, with the counter prepared.
func (g *gate) join(t *testing.T, how string) (transport.Session, transport.Call) {
	ex, err := dialers[how](t.Context(), g.Worker, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	return opened(t, ex)
}

func opened(t *testing.T, ex transport.Executor) (transport.Session, transport.Call) {
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	return s, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
}

// waiting returns when n runs wait on the worker.
func (g *gate) waiting(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		return g.Server.Load().Queued == n
	}, 10*time.Second, time.Millisecond)
}

// TestDeadlineInTheQueue lets a request's time end while another session runs:
// it is dropped before it begins, and the state is as before.
func TestDeadlineInTheQueue(t *testing.T) {
	for how := range dialers {
		t.Run(how, func(t *testing.T) {
			g := newGate(t, func(o *worker.Options) { o.MaxRunning = 1 })
			first, firstCall := g.join(t, how)
			second, secondCall := g.join(t, how)
			done := make(chan error, 1)
			go func() {
				_, err := first.Run(t.Context(), firstCall)
				done <- err
			}()
			<-g.began
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			_, err := second.Run(ctx, secondCall)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			g.waiting(t, 0)
			require.EqualValues(t, 1, g.runs.Load(), "what is late is not run")
			close(g.open)
			require.NoError(t, <-done)
			res, err := second.Run(t.Context(), secondCall)
			require.NoError(t, err)
			require.Equal(t, floats(100, 200), res.Outputs[0].Tensor.Data)
		})
	}
}

// TestDeadlineOnTheWorker has the worker itself end a run: its client sends no
// Cancel.
func TestDeadlineOnTheWorker(t *testing.T) {
	g := newGate(t, nil)
	p := greeted(t, g.Worker)
	p.session()
	err := p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, DeadlineMs: 20}, floats(1, 1), nil)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NotErrorIs(t, err, transport.ErrInternal)
	close(g.open)
	p.works()
}

// TestOverload fills the queue of the worker over each transport.
func TestOverload(t *testing.T) {
	for how := range dialers {
		t.Run(how, func(t *testing.T) {
			g := newGate(t, func(o *worker.Options) { o.MaxQueue, o.MaxRunning = 4, 1 })
			ex, err := dialers[how](t.Context(), g.Worker, nil)
			require.NoError(t, err)
			t.Cleanup(func() { _ = ex.Close() })
			s, call := opened(t, ex)
			var running sync.WaitGroup
			start := func(s transport.Session, call transport.Call) {
				running.Go(func() {
					_, err := s.Run(t.Context(), call)
					if err != nil {
						t.Error(err)
					}
				})
			}
			start(s, call)
			<-g.began
			start(s, call)
			g.waiting(t, 1)
			start(s, call)
			g.waiting(t, 2)
			_, err = s.Run(t.Context(), call)
			require.ErrorIs(t, err, transport.ErrOverloaded)
			over, ok := errors.AsType[*transport.OverloadError](err)
			require.True(t, ok, "%T", err)
			require.Positive(t, over.RetryAfter)
			remote, ok := errors.AsType[*transport.RemoteError](err)
			require.True(t, ok)
			require.EqualValues(t, 20, remote.Code)

			other, otherCall := opened(t, ex)
			start(other, otherCall) // there is room for others
			g.waiting(t, 3)
			close(g.open)
			running.Wait()
			res, err := s.Run(t.Context(), call)
			require.NoError(t, err)
			require.Equal(t, floats(400, 800), res.Outputs[0].Tensor.Data, "what was refused was not done")
		})
	}
}

// TestRetryOverloaded has the client ask again, and not beyond its time.
func TestRetryOverloaded(t *testing.T) {
	for how, dial := range map[string]func(g *gate) (transport.Executor, error){
		"tcp": func(g *gate) (transport.Executor, error) {
			return tcp.Dial(t.Context(), g.TCP, tcp.WithRetryOverloaded())
		},
		"grpc": func(g *gate) (transport.Executor, error) {
			return rpc.Dial(t.Context(), g.GRPC, rpc.WithRetryOverloaded())
		},
	} {
		t.Run(how, func(t *testing.T) {
			g := newGate(t, func(o *worker.Options) { o.MaxQueue, o.MaxRunning = 2, 1 })
			ex, err := dial(g)
			require.NoError(t, err)
			t.Cleanup(func() { _ = ex.Close() })
			s, call := opened(t, ex)
			done := make(chan error, 3)
			run := func(ctx context.Context) {
				_, err := s.Run(ctx, call)
				done <- err
			}
			go run(t.Context())
			<-g.began
			go run(t.Context())
			g.waiting(t, 1)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err = s.Run(ctx, call)
			require.ErrorIs(t, err, transport.ErrOverloaded, "the next attempt would be too late")
			go run(t.Context())
			g.open <- struct{}{}
			require.NoError(t, <-done)
			<-g.began // the second; the third finds room at an attempt of its own
			close(g.open)
			require.NoError(t, <-done)
			require.NoError(t, <-done)
			require.EqualValues(t, 3, g.runs.Load())
		})
	}
}

// TestFullSession fills the queue of one session.
func TestFullSession(t *testing.T) {
	const most = 256
	g := newGate(t, func(o *worker.Options) { o.MaxRunning = 1 })
	p := greeted(t, g.Worker)
	p.session()
	// The one that runs, and those that wait; a request that is none of a run
	// waits as well.
	for range most + 1 {
		p.sendRun()
	}
	<-g.began
	p.sendRun()
	h, control := p.next()
	require.Equal(t, p.last, h.Stream, "the one that is too many")
	require.ErrorIs(t, remoteError(t, control), transport.ErrOverloaded)
	close(g.open)
	for i := range uint64(most + 1) {
		h, _ := p.next()
		require.Equal(t, p.last-most-1+i, h.Stream, "in their order")
	}
}

// TestCancelledInTheQueue gives up a run that waits for its turn.
func TestCancelledInTheQueue(t *testing.T) {
	g := newGate(t, func(o *worker.Options) { o.MaxRunning = 1 })
	first, firstCall := g.join(t, "tcp")
	second, secondCall := g.join(t, "tcp")
	done := make(chan error, 2)
	go func() {
		_, err := first.Run(t.Context(), firstCall)
		done <- err
	}()
	<-g.began
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := second.Run(ctx, secondCall)
		done <- err
	}()
	g.waiting(t, 1)
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	g.waiting(t, 0)
	require.EqualValues(t, 1, g.runs.Load())
	close(g.open)
	require.NoError(t, <-done)
}

// TestGatheredRunsEnterTogether has one place only. Calls of a program that the
// engine makes one run take it together, and those that it does not take turns:
// the engine is asked for each call.
func TestGatheredRunsEnterTogether(t *testing.T) {
	for name, gathers := range map[string]bool{"gathered": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t, func(o *worker.Options) {
				o.MaxRunning = 1
				o.Engine.(*hooked).gathers = func([]int) bool { return gathers }
			})
			done := make(chan error, 2)
			run := func() {
				s, call := g.join(t, "tcp")
				go func() {
					_, err := s.Run(t.Context(), call)
					done <- err
				}()
			}
			run()
			<-g.began
			run()
			if gathers {
				<-g.began // while the first one goes
				require.Equal(t, 1, g.Server.Load().Running, "they count as one")
				require.Zero(t, g.Server.Load().Turns)
			} else {
				require.Eventually(t, func() bool { return g.Server.Load().Turns == 1 }, 10*time.Second, time.Millisecond)
				require.EqualValues(t, 1, g.runs.Load())
			}
			close(g.open)
			require.NoError(t, <-done)
			require.NoError(t, <-done)
		})
	}
}
