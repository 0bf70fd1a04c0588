package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/host/cudahost"
)

// TestWorkerDevice tests the values of --device and --missing-operators, in a
// program that links a driver of one CUDA device.
func TestWorkerDevice(t *testing.T) {
	devices := host.Devices{cudahost.Kind(func() (driver.Driver, error) { return emulator.New(emulator.Options{}), nil })}
	for _, tc := range []struct{ device, missing, wrong string }{
		{"cpu", "cpu", ""},
		{"cuda:0", "cpu", ""},
		{"cuda:0", "refuse", ""},
		{"cuda:7", "cpu", `--device: "cuda:7" is no device; there is cpu, cuda:0`},
		{"cpu", "refuse", ""},
		{"tpu", "cpu", `--device: "tpu" is no device; there is cpu`},
		{"cuda", "cpu", `--device: "cuda" is no device; there is cpu, cuda:0`},
		{"cpu", "skip", `--missing-operators is "skip"; there is cpu, refuse`},
	} {
		o := workerOptions{devices: devices, device: tc.device, missing: tc.missing, maxBatch: 1, queue: 1, shared: sharedAuto, lease: time.Second, watch: watchOptions{logFormat: "text"}}
		err := o.check()
		if tc.wrong != "" {
			require.ErrorContains(t, err, tc.wrong)
			continue
		}
		require.NoError(t, err)
		e, stop, err := o.engine(1, nil)
		require.NoError(t, err)
		require.Equal(t, strings.HasPrefix(tc.device, "cuda"), strings.Contains(e.Stats().CPU, "cuda"), e.Stats().CPU)
		stop()
	}
}
