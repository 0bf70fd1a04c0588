package mixed_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/mixed"
	"github.com/genie-sdk/go/internal/device/opaque"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func helped(open device.Open, lacks ...string) device.Open {
	return mixed.Open(mixed.Options{CPU: cpu.Open, Primary: devicetest.Lacking(open, lacks...)})
}

// TestDevice runs the suite on devices that lack important operators.
func TestDevice(t *testing.T) {
	for _, tc := range []struct {
		name  string
		open  device.Open
		int8  bool
		lacks []string
	}{
		{"rows and state", opaque.Open, false, []string{"softmax", "layer_norm", "gelu", "add", "append", "write_rows", "sample"}},
		{"attention", opaque.Open, false, []string{"attention", "rope", "rms_norm", "log_softmax"}},
		{"products", cpu.Open, true, []string{"matmul", "conv2d", "embedding"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			devicetest.Run(t, helped(tc.open, tc.lacks...), devicetest.Options{Tolerance: 2e-5, Int8: tc.int8, Copies: true, Plans: 20})
		})
	}
}
