package tcp_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/tcp"
)

// TestSecureConformance runs the whole suite over mutual TLS: the ledger counts
// what TLS adds, too.
func TestSecureConformance(t *testing.T) {
	start := func(t *testing.T) func() transport.Executor {
		ca := workertest.NewCA(t)
		server, client := ca.Issue("worker", nil), ca.Issue("client", nil)
		w := workertest.Start(t, func(o *worker.Options) {
			var err error
			o.TLS, err = server.Server()
			require.NoError(t, err)
		})
		return func() transport.Executor {
			ex, err := tcp.Dial(t.Context(), w.TCP, tcp.WithCredentials(credentials.Client{Files: &client}))
			require.NoError(t, err)
			return ex
		}
	}
	conformance.Run(t, func(t *testing.T) transport.Executor { return start(t)() }, conformance.Options{
		Proofs: true,
		Remote: true, FrameOverhead: 22,
		Pair: func(t *testing.T) (a, b transport.Executor) {
			dial := start(t)
			return dial(), dial()
		},
	})
}
