package worker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/rpc"
	"github.com/genie-sdk/go/transport/tcp"
)

// healthOf is what the gRPC port answers a probe.
func healthOf(t *testing.T, addr string) func() healthpb.HealthCheckResponse_ServingStatus {
	t.Helper()
	c, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return func() healthpb.HealthCheckResponse_ServingStatus {
		r, err := healthpb.NewHealthClient(c).Check(t.Context(), &healthpb.HealthCheckRequest{})
		require.NoError(t, err)
		return r.GetStatus()
	}
}

// TestDeviceLost loses the device of a worker. The call that it touched fails
// with the device's error, calls of sessions that were open with that of a lost
// session, and the connection stays: its next session works.
func TestDeviceLost(t *testing.T) {
	for _, scheme := range []string{"tcp", "grpc"} {
		t.Run(scheme, func(t *testing.T) {
			f := &opaque.Faults{}
			w := workertest.StartEngine(t, engine.Options{Device: f.Open}, nil)
			var ex transport.Executor
			var err error
			if scheme == "tcp" {
				ex, err = tcp.Dial(t.Context(), w.TCP)
			} else {
				ex, err = rpc.Dial(t.Context(), w.GRPC)
			}
			require.NoError(t, err)
			defer func() { require.NoError(t, ex.Close()) }()
			p, weights := counter()
			open := func() (s transport.Session, call transport.Call) {
				s, err := ex.NewSession(t.Context())
				require.NoError(t, err)
				ref, err := s.Prepare(t.Context(), p, weights, nil)
				require.NoError(t, err)
				return s, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}}
			}
			s, call := open()
			want, err := s.Run(t.Context(), call)
			require.NoError(t, err)
			idle, idleCall := open()
			f.Lose("kernel", 1)
			_, err = s.Run(t.Context(), call)
			require.ErrorIs(t, err, transport.ErrDevice)
			require.NotErrorIs(t, err, transport.ErrSessionLost)
			remote, ok := errors.AsType[*transport.RemoteError](err)
			require.True(t, ok)
			require.Contains(t, remote.Message, "opaque is lost")
			for range 2 {
				_, err = s.Run(t.Context(), call)
				require.ErrorIs(t, err, transport.ErrSessionLost)
				_, err = idle.Run(t.Context(), idleCall)
				require.ErrorIs(t, err, transport.ErrSessionLost)
				require.NoError(t, idle.Reset(t.Context()), "nothing is left to forget")
			}
			again, call := open()
			got, err := again.Run(t.Context(), call)
			require.NoError(t, err)
			require.Equal(t, want.Outputs[0], got.Outputs[0])
			require.NoError(t, again.Close())
			require.EqualValues(t, 1, w.Server.Meter().DeviceLosses.Load())
			require.Eventually(t, func() bool {
				return w.Engine.Stats().StateBytes == 0 && w.Engine.Stats().RetainedBytes == 0
			}, patience, time.Millisecond, "sessions of the lost device hold nothing")
			require.NoError(t, s.Close())
			require.NoError(t, idle.Close())
		})
	}
}

// TestNotReadyWithoutDevice probes a worker whose lost device does not open at
// once, and again when it has opened.
func TestNotReadyWithoutDevice(t *testing.T) {
	f := &opaque.Faults{}
	w := workertest.StartEngine(t, engine.Options{Device: f.Open}, nil)
	health := healthOf(t, w.GRPC)
	require.True(t, w.Server.Ready())
	require.Equal(t, healthpb.HealthCheckResponse_SERVING, health())
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	f.LoseFor("kernel", 1, 4)
	_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}})
	require.ErrorIs(t, err, transport.ErrDevice)
	unready, notServing := false, false
	require.Eventually(t, func() bool {
		unready = unready || !w.Server.Ready() && w.Server.DeviceReady() != nil
		notServing = notServing || health() == healthpb.HealthCheckResponse_NOT_SERVING
		return unready && notServing
	}, patience, time.Millisecond)
	s, err = ex.NewSession(t.Context())
	require.NoError(t, err)
	_, err = s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err, "it waits for the device")
	require.NoError(t, w.Server.Alive(), "a device that may come back is no reason to end the process")
	require.Eventually(t, func() bool {
		return w.Server.Ready() && health() == healthpb.HealthCheckResponse_SERVING
	}, patience, time.Millisecond)
}

// givenUp is an engine whose device was given up.
type givenUp struct{ worker.Engine }

var errGone = errors.Join(transport.ErrDevice, errors.New("gone"))

func (givenUp) Ready() (bool, error) { return true, errGone }

// TestDeviceGivenUp refuses sessions, and fails both probes, when only a new
// process can open the device.
func TestDeviceGivenUp(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Engine = givenUp{o.Engine} })
	require.False(t, w.Server.Ready())
	require.ErrorIs(t, w.Server.Alive(), errGone)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	_, err = ex.NewSession(t.Context())
	require.ErrorIs(t, err, transport.ErrDevice)
}
