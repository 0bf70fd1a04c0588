package rpc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t testing.TB, w *workertest.Worker) transport.Executor {
	t.Helper()
	ex, err := rpc.Dial(t.Context(), w.GRPC)
	require.NoError(t, err)
	return ex
}

func TestConformance(t *testing.T) {
	workers := map[transport.Executor]*workertest.Worker{}
	conformance.Run(t, func(t *testing.T) transport.Executor {
		w := workertest.Start(t, nil)
		ex := dial(t, w)
		workers[ex] = w
		return ex
	}, conformance.Options{
		Remote: true,
		Held:   func(_ *testing.T, ex transport.Executor) map[string]int64 { return workers[ex].Held() },
		Pair: func(t *testing.T) (a, b transport.Executor) {
			w := workertest.Start(t, nil)
			return dial(t, w), dial(t, w)
		},
		Movers: func(t *testing.T) (from, to transport.Executor) {
			a, b := workertest.Start(t, workertest.WithPeers(t, nil)), workertest.Start(t, nil)
			from, to = dial(t, a), dial(t, b)
			workers[from], workers[to] = a, b
			return from, to
		},
		Moved: func(from, to transport.Executor) (sent, received transport.ByCause) {
			return workers[from].Server.Meter().Ledger.Snapshot().Sent, workers[to].Server.Meter().Ledger.Snapshot().Received
		},
	})
}

// TestConformanceRecovering is the suite on an executor whose sessions outlive
// their connection.
func TestConformanceRecovering(t *testing.T) {
	open := func(t *testing.T, w *workertest.Worker) transport.Executor {
		ex, err := rpc.Dial(t.Context(), w.GRPC, rpc.WithReconnect(time.Second))
		require.NoError(t, err)
		return ex
	}
	conformance.Run(t, func(t *testing.T) transport.Executor {
		return open(t, workertest.Start(t, nil))
	}, conformance.Options{
		Remote: true,
		Pair: func(t *testing.T) (a, b transport.Executor) {
			w := workertest.Start(t, nil)
			return open(t, w), open(t, w)
		},
		Movers: func(t *testing.T) (from, to transport.Executor) {
			return open(t, workertest.Start(t, workertest.WithPeers(t, nil))), open(t, workertest.Start(t, nil))
		},
	})
}
