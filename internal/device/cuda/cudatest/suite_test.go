//go:build genie_cuda || genie_cuda_suite

package cudatest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/mixed"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/tcp"
)

// On the emulator package cuda runs the suites. Here they run on a GPU, and with
// the tag genie_cuda_suite on another device, to test this package.

// withCPU is the device with the CPU for what it lacks, as workers open it.
func withCPU(t testing.TB) device.Open {
	if deviceName() == "cpu" {
		return cpu.Open
	}
	return mixed.Open(mixed.Options{Primary: target(t), CPU: cpu.Open})
}

// slow reports whether the device computes many times more slowly than a CPU.
func slow() bool { return deviceName() == "emulator" }

func TestDevice(t *testing.T) {
	o := devicetest.Options{Tolerance: 1e-5, Half: 1.0 / 128, Copies: true, Slow: slow()}
	if deviceName() == "cpu" {
		o = devicetest.Options{Tolerance: 2e-5, Int8: true}
	}
	devicetest.Run(t, withCPU(t), o)
}

// TestConformance is the suite with a worker on the device.
func TestConformance(t *testing.T) {
	workers := map[transport.Executor]*workertest.Worker{}
	start := func(t *testing.T) *workertest.Worker {
		return workertest.StartEngine(t, engine.Options{Device: withCPU(t)}, nil)
	}
	dial := func(t *testing.T, w *workertest.Worker) transport.Executor {
		ex, err := tcp.Dial(t.Context(), w.TCP)
		require.NoError(t, err)
		return ex
	}
	conformance.Run(t, func(t *testing.T) transport.Executor {
		w := start(t)
		ex := dial(t, w)
		workers[ex] = w
		return ex
	}, conformance.Options{
		Remote: true, Slow: slow(),
		Held: func(_ *testing.T, ex transport.Executor) map[string]int64 { return workers[ex].Held() },
		Pair: func(t *testing.T) (a, b transport.Executor) {
			w := start(t)
			return dial(t, w), dial(t, w)
		},
	})
}
