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
	"github.com/genie-sdk/go/transport/plan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) transport.Executor {
		ex, err := local.Open(local.WithThreads(2))
		require.NoError(t, err)
		return ex
	}, conformance.Options{Movers: movers()})
}

// movers opens two executors of this process.
func movers(opts ...local.Option) func(t *testing.T) (from, to transport.Executor) {
	return func(t *testing.T) (from, to transport.Executor) {
		t.Helper()
		for _, ex := range []*transport.Executor{&from, &to} {
			var err error
			*ex, err = local.Open(append(opts, local.WithThreads(2))...)
			require.NoError(t, err)
		}
		return from, to
	}
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
	}, conformance.Options{Movers: movers(local.WithDevice(opaque.Open))})
}

// TestDeviceLost loses the device under a session: the executor's next session
// works.
func TestDeviceLost(t *testing.T) {
	f := &opaque.Faults{}
	ex, err := local.Open(local.WithDevice(f.Open))
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	n := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(2)}}
	p := &plan.Plan{
		Version: plan.Version, Name: "double", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: n, Buffer: plan.NoBuffer}, {Kind: plan.KindTemp, Name: "y", Spec: n, Buffer: 0},
		},
		Steps: []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}}, Inputs: []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	run := func(s transport.Session) error {
		ref, err := s.Prepare(t.Context(), p, nil, nil)
		if err != nil {
			return err
		}
		_, err = s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 8)}}})
		return err
	}
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, run(s))
	f.Lose("kernel", 1)
	require.ErrorIs(t, run(s), transport.ErrDevice)
	require.ErrorIs(t, run(s), transport.ErrSessionLost)
	next, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	require.NoError(t, run(next))
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
