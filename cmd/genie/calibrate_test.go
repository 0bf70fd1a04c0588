package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/micro"
)

// TestDoctorCalibrates verifies what is reported, not how good it is: times at
// the tiny scale say nothing.
func TestDoctorCalibrates(t *testing.T) {
	w := startChild(t, anyTCP())
	r := decode[doctorReport](t, "doctor", "--calibrate", "--scale", "tiny", "--rounds", "1", "--executor", w.urls[0], "--json")
	require.True(t, r.OK)
	require.Equal(t, "cost model", r.Checks[len(r.Checks)-1].Name)
	c := r.Calibration
	require.NotNil(t, c)
	require.Equal(t, w.urls[0], c.Executor)
	require.Positive(t, c.Device.Link)
	require.Positive(t, c.Device.Calibration.Call)
	require.NotEmpty(t, c.Device.Calibration.Kernels)
	require.Len(t, c.Judgement.Rows, len(micro.SuiteAt(workloads.Tiny).Judged))

	text := cli(t, "doctor", "--calibrate", "--scale", "tiny", "--rounds", "1", "--fastest")
	require.Zero(t, text.code, text.stderr)
	require.Contains(t, text.stdout, "cost model of local:")
	require.Contains(t, text.stdout, "batch_norm")
	require.Contains(t, text.stdout, "rank correlation")
	require.Nil(t, decode[doctorReport](t, "doctor", "--json").Calibration)
	require.Equal(t, 2, cli(t, "doctor", "--calibrate", "--scale", "huge").code)
}
