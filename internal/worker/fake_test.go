package worker_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// hooked is a real engine whose runs a test can take over.
type hooked struct {
	worker.Engine
	run func(ctx context.Context) error // nil: the engine's own
	// gathers answers for a call with bindings; nil for what the engine says.
	gathers func(bindings []int) bool
}

func (h *hooked) NewSession() worker.Session { return hookedSession{h.Engine.NewSession(), h} }

type hookedSession struct {
	worker.Session
	h *hooked
}

func (s hookedSession) NewCall(ctx context.Context, p worker.Program, bindings []int) (worker.Call, error) {
	c, err := s.Session.NewCall(ctx, p, bindings)
	if err != nil {
		return nil, err
	}
	return hookedCall{c, s.h, bindings}, nil
}

type hookedCall struct {
	worker.Call
	h        *hooked
	bindings []int
}

// Gathers passes on what the engine says of the call.
func (c hookedCall) Gathers() bool {
	if c.h.gathers != nil {
		return c.h.gathers(c.bindings)
	}
	g, ok := c.Call.(interface{ Gathers() bool })
	return ok && g.Gathers()
}

func (c hookedCall) RunInTurns(ctx context.Context, turn engine.Turn) error {
	return c.Call.RunInTurns(ctx, func(ctx context.Context, batched bool, run func(ctx context.Context) error) error {
		if c.h.gathers != nil {
			batched = c.h.gathers(c.bindings)
		}
		return turn(ctx, batched, func(ctx context.Context) error {
			if c.h.run != nil {
				if err := c.h.run(ctx); err != nil {
					return err
				}
			}
			return run(ctx)
		})
	})
}

// hook starts a worker whose runs call run first.
func hook(t *testing.T, run func(ctx context.Context) error) *workertest.Worker {
	return workertest.Start(t, func(o *worker.Options) { o.Engine, o.MaxRunning = &hooked{Engine: o.Engine, run: run}, 64 })
}

// client is a session of an executor over TCP with the counter prepared.
func client(t *testing.T, w *workertest.Worker) (transport.Executor, transport.Session, transport.Call) {
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	return ex, s, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
}

func TestPanicIsAnErrorOfItsCall(t *testing.T) {
	panics := true
	w := hook(t, func(context.Context) error {
		if panics {
			panic("secret at /srv/models")
		}
		return nil
	})
	_, s, call := client(t, w)
	_, err := s.Run(t.Context(), call)
	require.ErrorIs(t, err, transport.ErrInternal)
	require.NotContains(t, err.Error(), "secret")
	panics = false
	_, err = s.Run(t.Context(), call)
	require.NoError(t, err, "the session must not stay locked")
}

func TestErrorsKeepTheWorkersSecrets(t *testing.T) {
	w := hook(t, func(context.Context) error {
		return &fs.PathError{Op: "open", Path: "/srv/models/gpt2", Err: fs.ErrPermission}
	})
	_, s, call := client(t, w)
	_, err := s.Run(t.Context(), call)
	require.ErrorIs(t, err, transport.ErrInternal)
	require.NotContains(t, err.Error(), "srv")
	require.ErrorContains(t, err, w.TCP, "the client adds the address that it dialled")
}

// TestDroppedConnectionStopsItsRuns disconnects during a run.
func TestDroppedConnectionStopsItsRuns(t *testing.T) {
	began, stopped := make(chan struct{}), make(chan error, 1)
	w := hook(t, func(ctx context.Context) error {
		close(began)
		<-ctx.Done()
		stopped <- context.Cause(ctx)
		return ctx.Err()
	})
	ex, s, call := client(t, w)
	failed := make(chan error, 1)
	go func() {
		_, err := s.Run(context.Background(), call)
		failed <- err
	}()
	<-began
	require.NoError(t, ex.Close())
	require.ErrorIs(t, <-failed, transport.ErrClosed)
	require.ErrorIs(t, <-stopped, context.Canceled)
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 0 }, 5*time.Second, time.Millisecond)
}

// TestLateAnswer gives up on a run that the worker does not stop: the call
// returns, and what the run did to the state is not passed over in silence.
func TestLateAnswer(t *testing.T) {
	began, finish := make(chan struct{}, 1), make(chan struct{})
	w := hook(t, func(context.Context) error {
		began <- struct{}{}
		<-finish
		return nil
	})
	ex, s, call := client(t, w)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, call)
		failed <- err
	}()
	<-began
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	close(finish)
	// The answer comes before that of a later request of the session.
	_, err := s.Read(t.Context(), transport.Handle{ID: 99})
	require.ErrorIs(t, err, transport.ErrStaleHandle)
	_, err = s.Run(t.Context(), call)
	if err != nil { // the run had succeeded after all
		require.ErrorIs(t, err, transport.ErrState)
		require.NoError(t, s.Reset(t.Context()))
		_, err = s.Run(t.Context(), call)
	}
	require.NoError(t, err)
	snap := ex.Ledger().Snapshot()
	require.Equal(t, snap.SocketReceived, snap.Received.Total())
}

func TestShutdownLetsRunsFinish(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w := hook(t, func(context.Context) error {
		if !first.Swap(true) {
			close(began)
			<-finish
		}
		return nil
	})
	_, s, call := client(t, w)
	_, other, otherCall := client(t, w)
	finished := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), call)
		finished <- err
	}()
	<-began
	down := make(chan error, 1)
	go func() { down <- w.Server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool {
		_, err := other.Run(t.Context(), otherCall)
		return errors.Is(err, transport.ErrClosed) || errors.Is(err, transport.ErrUnreachable)
	}, 5*time.Second, time.Millisecond)
	close(finish)
	require.NoError(t, <-finished)
	require.NoError(t, <-down)
	_, err := net.Dial("tcp", w.TCP)
	require.Error(t, err)
}

// finder is a model folder with one model.
type finder struct {
	weights transport.Weights
	spoil   bool
}

func (f finder) Find(_ context.Context, model string, h plan.Hash) (transport.Weight, error) {
	if model != "mine" {
		return transport.Weight{}, fmt.Errorf("%w: model %q", transport.ErrMissingWeight, model)
	}
	w, err := f.weights.Weight(h)
	if f.spoil && err == nil {
		w.Data = append([]byte(nil), w.Data...)
		w.Data[0]++
	}
	return w, err
}

// named is a source of weights of a model, which may have none itself.
type named struct {
	transport.Weights
	model string
}

func (n named) Model() string { return n.model }

func TestModelFolder(t *testing.T) {
	p, weights := counter()
	for _, tt := range []struct {
		name  string
		has   finder
		from  named
		sends bool
	}{
		{"found", finder{weights: weights}, named{nil, "mine"}, false},
		{"another model", finder{weights: weights}, named{weights, "yours"}, true},
		{"no content", finder{}, named{weights, "mine"}, true},
		{"corrupt on the worker", finder{weights: weights, spoil: true}, named{weights, "mine"}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := workertest.Start(t, func(o *worker.Options) { o.Weights = tt.has })
			ex, err := tcp.Dial(t.Context(), w.TCP)
			require.NoError(t, err)
			defer func() { _ = ex.Close() }()
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			ref, err := s.Prepare(t.Context(), p, tt.from, nil)
			require.NoError(t, err)
			res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}})
			require.NoError(t, err)
			require.Equal(t, floats(100, 200), res.Outputs[0].Tensor.Data)
			require.Equal(t, tt.sends, ex.Ledger().Snapshot().Sent[plan.CauseWeights] > 0)
		})
	}
}

// TestHalfMessages leaves messages unfinished: cancelled, and with the
// connection cut. All memory comes back.
func TestHalfMessages(t *testing.T) {
	w := workertest.Start(t, nil)
	watch := newBystander(t, w)
	for _, cancelled := range []bool{true, false} {
		p := greeted(t, w)
		p.session()
		half := func(stream uint64, m *wire.Message) {
			m.Stream, m.Open = stream, true
			p.send(m)
		}
		half(100, &wire.Message{
			Type: wire.TypeRun, Control: &wirepb.Run{Session: 1, Plan: 1, Bytes: 8}, Payload: []wire.Segment{{Data: floats(1)}},
		})
		half(101, &wire.Message{
			Type: wire.TypePutWeight, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 8}, Payload: []wire.Segment{{Data: floats(1)}},
		})
		if cancelled {
			for _, stream := range []uint64{100, 101} {
				p.send(&wire.Message{Type: wire.TypeCancel, Stream: stream})
				require.ErrorIs(t, p.answer(stream, 0, nil), context.Canceled)
			}
			p.works()
			half(102, &wire.Message{
				Type: wire.TypeRun, Stream: 1, Control: &wirepb.Run{Session: 1, Plan: 1, Bytes: 8}, Payload: []wire.Segment{{Data: floats(1)}},
			})
			p.send(&wire.Message{Type: wire.TypeCloseSession, Stream: 103, Control: &wirepb.CloseSession{Session: 1}})
			require.ErrorIs(t, p.answer(102, 0, nil), transport.ErrClosed)
			require.NoError(t, p.answer(103, wire.TypeCloseSession, nil))
		}
		require.NoError(t, p.wc.Close())
		watch.check()
	}
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, watch.s.Close())
	require.Eventually(t, func() bool { return w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
}
