package local_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/mixed"
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

// TestConformanceMixed is the suite on a device that lacks operators, with the CPU
// beside it.
func TestConformanceMixed(t *testing.T) {
	open := mixed.Open(mixed.Options{
		Primary: devicetest.Lacking(opaque.Open, "matmul", "append", "relu", "add", "reduce", "sample"), CPU: cpu.Open,
	})
	conformance.Run(t, func(t *testing.T) transport.Executor {
		ex, err := local.Open(local.WithDevice(open))
		require.NoError(t, err)
		st, err := ex.Stats(t.Context())
		require.NoError(t, err)
		require.Contains(t, st.CPU, "reference+")
		return ex
	}, conformance.Options{})
}
