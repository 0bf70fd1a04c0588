package tcp_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dial(t testing.TB, w *workertest.Worker) transport.Executor {
	t.Helper()
	ex, err := tcp.Dial(t.Context(), w.TCP)
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

// TestConformanceOpaque is the suite with a worker whose device has memory that the
// worker cannot address, and runs late.
func TestConformanceOpaque(t *testing.T) {
	workers := map[transport.Executor]*workertest.Worker{}
	start := func(t *testing.T) *workertest.Worker {
		return workertest.StartEngine(t, engine.Options{Device: opaque.Open}, nil)
	}
	conformance.Run(t, func(t *testing.T) transport.Executor {
		w := start(t)
		ex := dial(t, w)
		workers[ex] = w
		return ex
	}, conformance.Options{
		Remote: true,
		Held:   func(_ *testing.T, ex transport.Executor) map[string]int64 { return workers[ex].Held() },
		Pair: func(t *testing.T) (a, b transport.Executor) {
			w := start(t)
			return dial(t, w), dial(t, w)
		},
		Movers: func(t *testing.T) (from, to transport.Executor) {
			a := workertest.StartEngine(t, engine.Options{Device: opaque.Open}, workertest.WithPeers(t, nil))
			return dial(t, a), dial(t, start(t))
		},
	})
}

// TestConformanceRecovering is the suite on an executor whose sessions outlive
// their connection.
func TestConformanceRecovering(t *testing.T) {
	open := func(t *testing.T, w *workertest.Worker) transport.Executor {
		ex, err := tcp.Dial(t.Context(), w.TCP, tcp.WithReconnect(time.Second))
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
