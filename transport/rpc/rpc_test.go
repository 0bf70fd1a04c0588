package rpc_test

import (
	"testing"

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
	})
}
