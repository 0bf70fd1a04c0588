package host

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func TestDevice(t *testing.T) {
	require.Equal(t, []string{"cpu"}, Devices())
	_, err := Device("tpu", MissingOnCPU, nil)
	require.ErrorContains(t, err, `no device "tpu", only cpu`)
	_, err = Device("cpu", "ignore", nil)
	require.ErrorContains(t, err, `"ignore"`)
	for _, missing := range []Missing{MissingOnCPU, MissingRefused} {
		open, err := Device("cpu", missing, nil)
		require.NoError(t, err)
		e, err := Open(engine.Options{Device: open})
		require.NoError(t, err)
		require.NotContains(t, e.Stats().CPU, "+", "the CPU lacks nothing, so nothing is beside it")
		require.NoError(t, e.Close())
	}
}

// TestMissing verifies that a step which a device lacks runs on the CPU, as the
// log and the profile report, or that its plan is refused by name.
func TestMissing(t *testing.T) {
	open := devicetest.Lacking(opaque.Open, "tanh")
	m := planmaker.New(nil)
	m.Plan().Name = "squashed"
	x := m.Input(plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(3)}})
	y, _ := m.Apply("tanh", nil, x)
	z, _ := m.Apply("exp", nil, y)
	m.Plan().Outputs = []plan.Output{{Name: "z", Value: z, Place: plan.Download}}
	m.Assign()

	var log bytes.Buffer
	beside, err := withCPU(open, MissingOnCPU, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	e, err := Open(engine.Options{Device: beside, Profile: true})
	require.NoError(t, err)
	prog, err := e.Compile(m.Plan())
	require.NoError(t, err)
	require.Contains(t, log.String(), "tanh x1")
	require.Contains(t, log.String(), "squashed")
	s := e.NewSession()
	c, err := s.NewCall(prog, nil)
	require.NoError(t, err)
	require.NoError(t, c.SetInput(0, make([]byte, 12)))
	require.NoError(t, c.Run(context.Background()))
	out, _ := c.Output(0)
	require.Equal(t, op.FromF32([]float32{1, 1, 1}, 3).Data, out.Data)
	c.Release()
	s.Close()
	require.Contains(t, e.Stats().Kernels, "tanh on cpu")
	require.Contains(t, e.Stats().Kernels, "exp")
	require.NoError(t, e.Close())

	alone, err := withCPU(open, MissingRefused, nil)
	require.NoError(t, err)
	e, err = Open(engine.Options{Device: alone})
	require.NoError(t, err)
	_, err = e.Compile(m.Plan())
	require.ErrorIs(t, err, transport.ErrInvalidPlan)
	require.ErrorContains(t, err, "step 0 (tanh): the device opaque")
	require.NoError(t, e.Close())
}
