package worker_test

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/fault"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
)

const silence = 150 * time.Millisecond

// recovering dials an executor that makes its connection again.
func recovering(t *testing.T, scheme, addr string) transport.Executor {
	t.Helper()
	var ex transport.Executor
	var err error
	if scheme == "tcp" {
		ex, err = tcp.Dial(t.Context(), addr, tcp.WithReconnect(10*time.Second), tcp.WithHeartbeat(silence))
	} else {
		ex, err = rpc.Dial(t.Context(), addr, rpc.WithReconnect(10*time.Second), rpc.WithHeartbeat(silence))
	}
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ex.Close()) })
	return ex
}

// TestAppendedOnce appends rows to a cache over links that lose, cut and damage
// data: each row is present once, in its place, and the cache has the right
// length.
func TestAppendedOnce(t *testing.T) {
	t.Parallel()
	w := workertest.Start(t, func(o *worker.Options) { o.Silence = silence })
	for _, tt := range []struct {
		name, scheme string
		opts         fault.Options
	}{
		{"requests lost", "tcp", fault.Options{Frames: true, Decide: fault.Drop(1, .25, 0)}},
		{"replies lost", "tcp", fault.Options{Frames: true, Decide: fault.Drop(2, 0, .5)}},
		{"cut in flight", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(3, .2, fault.Cut)}},
		{"truncated", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(4, .2, fault.Truncate)}},
		{"flipped", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(5, .2, fault.Flip)}},
		{"swapped", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(6, .2, fault.Swap)}},
		{"stalled", "tcp", fault.Options{Frames: true, Decide: fault.Sometimes(7, .1, fault.Stall)}},
		{"cut in flight", "grpc", fault.Options{Decide: fault.Sometimes(8, .05, fault.Cut)}},
		{"truncated", "grpc", fault.Options{Decide: fault.Sometimes(9, .05, fault.Truncate)}},
		{"flipped", "grpc", fault.Options{Decide: fault.Sometimes(10, .05, fault.Flip)}},
		{"stalled", "grpc", fault.Options{Decide: fault.Sometimes(11, .05, fault.Stall)}},
	} {
		t.Run(tt.scheme+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			target := map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[tt.scheme]
			link, err := fault.Start(target, tt.opts)
			require.NoError(t, err)
			defer func() { require.NoError(t, link.Close()) }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			s, err := recovering(t, tt.scheme, link.Addr()).NewSession(ctx)
			require.NoError(t, err)
			ref, err := s.Prepare(ctx, growing(1, true, plan.Download), nil, nil)
			require.NoError(t, err)
			var want []float32
			for i := range 24 {
				want = append(want, 2*float32(i))
				res, err := s.Run(ctx, transport.Call{Plan: ref, Bindings: []int{i, 1}, Inputs: []transport.Input{{Data: floats(float32(i))}}})
				require.NoError(t, err)
				require.Equal(t, []int{i + 1, 1}, res.Outputs[0].Tensor.Shape)
				require.Equal(t, floats(want...), res.Outputs[0].Tensor.Data)
			}
			require.Positive(t, link.Faults())
		})
	}
}

// TestBusyWorkerLives runs what takes many times the silence that would be
// death.
func TestBusyWorkerLives(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			w := hook(t, func(ctx context.Context) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(8 * silence):
					return nil
				}
			})
			var ex transport.Executor
			var err error
			if scheme == "tcp" {
				ex, err = tcp.Dial(t.Context(), w.TCP, tcp.WithHeartbeat(silence))
			} else {
				ex, err = rpc.Dial(t.Context(), w.GRPC, rpc.WithHeartbeat(silence))
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, ex.Close()) }()
			s, err := ex.NewSession(t.Context())
			require.NoError(t, err)
			p, weights := counter()
			ref, err := s.Prepare(t.Context(), p, weights, nil)
			require.NoError(t, err)
			_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}})
			require.NoError(t, err)
		})
	}
}

// TestIdleSessionIsKept cuts the connection of an unused session for longer
// than its lease: it is resumed on another connection in time.
func TestIdleSessionIsKept(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Silence, o.Lease = silence, 2*silence })
	link, err := fault.Start(w.TCP, fault.Options{})
	require.NoError(t, err)
	defer func() { require.NoError(t, link.Close()) }()
	s, err := recovering(t, "tcp", link.Addr()).NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}}
	_, err = s.Run(t.Context(), call)
	require.NoError(t, err)
	link.CutAll()
	timer := time.NewTimer(6 * silence)
	<-timer.C
	res, err := s.Run(t.Context(), call)
	require.NoError(t, err)
	require.Equal(t, floats(200, 402), res.Outputs[0].Tensor.Data)
}

// TestLapsedSession comes back too late: the session is lost and says so, and
// its handles are stale.
func TestLapsedSession(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Lease = 20 * time.Millisecond })
	gate := make(chan struct{})
	link, err := fault.Start(w.TCP, fault.Options{Accept: func(n int) {
		if n > 0 {
			<-gate
		}
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, link.Close()) }()
	ex, err := tcp.Dial(t.Context(), link.Addr(), tcp.WithReconnect(10*time.Second))
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}})
	require.NoError(t, err)
	h := res.Outputs[1].Handle
	link.CutAll()
	require.Eventually(t, empty(w), 5*time.Second, time.Millisecond)
	close(gate)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 1)}}})
	require.ErrorIs(t, err, transport.ErrSessionLost)
	require.NotErrorIs(t, err, transport.ErrStaleHandle)
	_, err = s.Read(t.Context(), h)
	require.ErrorIs(t, err, transport.ErrStaleHandle)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Handle: h}}})
	require.ErrorIs(t, err, transport.ErrStaleHandle)
	require.NoError(t, s.Release(t.Context(), h))
	require.NoError(t, s.Close())
	other, err := ex.NewSession(t.Context())
	require.NoError(t, err, "the executor itself stays usable")
	_, err = other.Read(t.Context(), h)
	require.ErrorIs(t, err, transport.ErrStaleHandle, "a handle of another session")
}

// TestClosedInTime verifies that an executor that is closed leaves nothing on
// the worker, though its sessions could have come back.
func TestClosedInTime(t *testing.T) {
	w := workertest.Start(t, nil)
	for _, scheme := range []string{"tcp", "grpc"} {
		ex := recovering(t, scheme, map[string]string{"tcp": w.TCP, "grpc": w.GRPC}[scheme])
		for range 3 {
			_, err := ex.NewSession(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, ex.Close())
		require.Zero(t, w.Engine.Stats().Sessions)
		_, err := ex.NewSession(t.Context())
		require.ErrorIs(t, err, transport.ErrClosed)
	}
}

// TestReconnectEnds verifies that a worker that stays away is an error, after
// the time given or when the context ends.
func TestReconnectEnds(t *testing.T) {
	w := workertest.Start(t, nil)
	var dialled atomic.Int64
	ex, err := tcp.Dial(t.Context(), w.TCP, tcp.WithReconnect(300*time.Millisecond), tcp.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		dialled.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}))
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.Close())
	begin := time.Now()
	require.ErrorIs(t, s.Reset(t.Context()), transport.ErrUnreachable)
	require.Less(t, time.Since(begin), 5*time.Second)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err = s.Reset(ctx)
	require.True(t, transport.Code(err) == transport.Code(context.DeadlineExceeded) || transport.Code(err) == transport.Code(transport.ErrUnreachable), "%v", err)
	require.Greater(t, dialled.Load(), int64(2))
	require.Less(t, dialled.Load(), int64(60), "the waits grow")
}

// TestReorderedConnections lets a client's second connection through before its
// first.
func TestReorderedConnections(t *testing.T) {
	w := workertest.Start(t, nil)
	second := make(chan struct{})
	link, err := fault.Start(w.TCP, fault.Options{Accept: func(n int) {
		switch n {
		case 0:
			<-second
		case 1:
			close(second)
		}
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, link.Close()) }()
	done := make(chan error, 2)
	for range 2 {
		go func() {
			ex, err := tcp.Dial(t.Context(), link.Addr(), tcp.WithReconnect(wire.Silence))
			if err == nil {
				err = exchange(t.Context(), ex)
				_ = ex.Close()
			}
			done <- err
		}()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
}
