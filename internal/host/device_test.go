package host

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/opaque"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

func TestDevice(t *testing.T) {
	var none Devices
	require.Equal(t, "cpu", none.Names())
	require.NoError(t, none.Find("cpu"))
	_, err := none.Open("tpu", MissingOnCPU, nil)
	require.ErrorContains(t, err, `"tpu" is no device; there is cpu`)
	_, err = none.Open("cpu", "ignore", nil)
	require.ErrorContains(t, err, `"ignore"`)
	for _, missing := range []Missing{MissingOnCPU, MissingRefused} {
		open, err := none.Open("cpu", missing, nil)
		require.NoError(t, err)
		e, err := Open(engine.Options{Device: open})
		require.NoError(t, err)
		require.NotContains(t, e.Stats().CPU, "+", "the CPU lacks nothing, so nothing is beside it")
		require.NoError(t, e.Close())
	}
}

// TestKinds tests the names of devices that a program links, or another build does.
func TestKinds(t *testing.T) {
	opened := -1
	have := Devices{{
		Name: "cuda",
		List: func() ([]DeviceInfo, error) { return make([]DeviceInfo, 2), nil },
		Open: func(ordinal int) device.Open { opened = ordinal; return opaque.Open },
	}}
	require.Equal(t, "cpu, cuda:N", have.Names())
	open, err := have.Open("cuda:1", MissingRefused, nil)
	require.NoError(t, err)
	require.Equal(t, 1, opened)
	e, err := Open(engine.Options{Device: open})
	require.NoError(t, err)
	require.NoError(t, e.Close())
	for _, name := range []string{"cuda", "cuda:", "cuda:2", "cuda:-1", "cuda:01", "cuda:+1", "cuda:1:1", "cuda:99999999999999999999", "cud:0", "", "CPU", "cpu:0"} {
		err := have.Find(name)
		require.True(t, IsNameError(err), name)
		require.ErrorContains(t, err, "there is cpu, cuda:", name)
		require.ErrorContains(t, err, strconv.Quote(name))
	}

	broken := errors.New("no driver")
	gone := Devices{{Name: "cuda", List: func() ([]DeviceInfo, error) { return nil, broken }}}
	err = gone.Find("cuda:0")
	require.ErrorIs(t, err, broken)
	require.False(t, IsNameError(err))

	other := Devices{{Name: "cuda", Build: "a program built with X"}}
	require.Equal(t, "cpu, cuda:N in another build", other.Names())
	err = other.Find("cuda:0")
	require.True(t, IsNameError(err))
	require.ErrorContains(t, err, `"cuda:0" needs a program built with X`)
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
