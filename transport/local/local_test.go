package local_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) transport.Executor {
		ex, err := local.Open(local.WithThreads(2))
		require.NoError(t, err)
		return ex
	}, conformance.Options{})
}

// TestConformanceOpaque is the suite on a device whose memory this process cannot
// address, and which runs late.
func TestConformanceOpaque(t *testing.T) {
	conformance.Run(t, func(t *testing.T) transport.Executor {
		ex, err := local.Open(local.WithDevice(opaque.Open))
		require.NoError(t, err)
		st, err := ex.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, "reference", st.CPU)
		return ex
	}, conformance.Options{})
}
