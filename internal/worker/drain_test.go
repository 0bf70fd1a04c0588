package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// prepared is a session over one of the transports with the counter prepared.
func prepared(t *testing.T, w *workertest.Worker, over string) (transport.Executor, transport.Session, transport.Call) {
	ex, err := dialers[over](t.Context(), w, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ex.Close() })
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	return ex, s, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}}
}

// TestDrainHandsBack shuts a worker down while one request runs for ever and
// another one waits behind it: both clients read a cause that they can act on.
func TestDrainHandsBack(t *testing.T) {
	for over := range dialers {
		t.Run(over, func(t *testing.T) {
			began := make(chan struct{}, 1)
			w := hook(t, func(ctx context.Context) error {
				began <- struct{}{}
				<-ctx.Done()
				return nil // the engine itself is to notice
			})
			_, s, call := prepared(t, w, over)
			failed := make(chan error, 2)
			for range 2 {
				go func() {
					_, err := s.Run(context.Background(), call)
					failed <- err
				}()
			}
			<-began
			m := w.Server.Meter()
			require.Eventually(t, func() bool { return m.Waiting.Load() == 1 && m.Running.Load() == 1 }, 5*time.Second, time.Millisecond)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			var ended *worker.DrainError
			require.ErrorAs(t, w.Server.Shutdown(ctx), &ended)
			require.Equal(t, 2, ended.Requests)
			require.ErrorIs(t, ended, context.DeadlineExceeded)
			for range 2 {
				err := <-failed
				require.ErrorIs(t, err, transport.ErrClosed)
				require.ErrorContains(t, err, "the worker is shutting down")
			}
			require.EqualValues(t, 2, m.RequestsHandedBack.Load())
			require.Zero(t, m.Waiting.Load())
			require.Zero(t, m.Running.Load())
			require.Zero(t, m.ConnectionsOpen.Load())
		})
	}
}

// TestHealth asks the standard health service before and during a drain.
func TestHealth(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	w := hook(t, func(context.Context) error {
		close(began)
		<-finish
		return nil
	})
	cc, err := grpc.NewClient("passthrough:///"+w.GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer cc.Close()
	check := func(service string) (healthpb.HealthCheckResponse_ServingStatus, error) {
		r, err := healthpb.NewHealthClient(cc).Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		return r.GetStatus(), err
	}
	services := []string{"", grpcwire.Service}
	for _, name := range services {
		got, err := check(name)
		require.NoError(t, err)
		require.Equal(t, healthpb.HealthCheckResponse_SERVING, got, name)
	}
	_, err = check("another")
	require.Equal(t, codes.NotFound, status.Code(err))
	require.True(t, w.Server.Ready())

	_, s, call := prepared(t, w, "grpc")
	finished := make(chan error, 1)
	go func() {
		_, err := s.Run(t.Context(), call)
		finished <- err
	}()
	<-began
	down := make(chan error, 1)
	go func() { down <- w.Server.Shutdown(t.Context()) }()
	require.Eventually(t, func() bool { return !w.Server.Ready() }, 5*time.Second, time.Millisecond)
	for _, name := range services {
		got, err := check(name)
		require.NoError(t, err, "the port answers while the worker drains")
		require.Equal(t, healthpb.HealthCheckResponse_NOT_SERVING, got, name)
	}
	close(finish)
	require.NoError(t, <-finished)
	require.NoError(t, <-down)
}
