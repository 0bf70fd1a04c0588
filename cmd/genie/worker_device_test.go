package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWorkerDevice tests the values of --device and --missing-operators.
func TestWorkerDevice(t *testing.T) {
	for _, tc := range []struct{ device, missing, wrong string }{
		{"cpu", "cpu", ""},
		{"cpu", "refuse", ""},
		{"tpu", "cpu", `--device: "tpu" is no device; there is cpu`},
		{"cuda", "cpu", `"cuda"`},
		{"cpu", "skip", `--missing-operators is "skip"; there is cpu, refuse`},
	} {
		o := workerOptions{devices: linked(), device: tc.device, missing: tc.missing, maxBatch: 1, queue: 1, lease: time.Second, watch: watchOptions{logFormat: "text"}}
		err := o.check()
		if tc.wrong != "" {
			require.ErrorContains(t, err, tc.wrong)
			continue
		}
		require.NoError(t, err)
		e, stop, err := o.engine(1, nil)
		require.NoError(t, err)
		require.NotEmpty(t, e.Stats().CPU)
		stop()
	}
}
