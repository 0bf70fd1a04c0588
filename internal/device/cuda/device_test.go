package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/devicetest"
	"github.com/genie-sdk/go/internal/device/mixed"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/conformance"
	"github.com/genie-sdk/go/transport/tcp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withCPU is the device with the CPU for what it lacks, as workers open it.
func withCPU(t testing.TB) device.Open {
	return mixed.Open(mixed.Options{Primary: emulated(t), CPU: cpu.Open})
}

func TestDevice(t *testing.T) {
	plans := 300
	if raceDetector {
		plans = 10
	}
	devicetest.Run(t, withCPU(t), devicetest.Options{Tolerance: 1e-5, Half: 1.0 / 128, Copies: true, Slow: true, Plans: plans})
}

// TestConformance is the suite of executors over TCP, with a worker that has the
// device.
func TestConformance(t *testing.T) {
	if raceDetector {
		t.Skip("the emulator is too slow with the race detector; without it: go test -run TestConformance ./internal/device/cuda")
	}
	workers := map[transport.Executor]*workertest.Worker{}
	start := func(t *testing.T) *workertest.Worker {
		return workertest.StartEngine(t, engine.Options{Device: withCPU(t)}, nil)
	}
	dial := func(t *testing.T, w *workertest.Worker) transport.Executor {
		t.Helper()
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
		Remote: true, Slow: true,
		Held: func(_ *testing.T, ex transport.Executor) map[string]int64 { return workers[ex].Held() },
		Pair: func(t *testing.T) (a, b transport.Executor) {
			w := start(t)
			return dial(t, w), dial(t, w)
		},
	})
}

// lacked are the operators without a kernel.
var lacked = []string{
	"conv2d",
	"abs", "neg", "sign", "reciprocal", "rsqrt", "log", "log1p", "expm1", "sin", "cos", "tan", "asin", "acos", "atan",
	"sinh", "cosh", "asinh", "acosh", "atanh", "erf", "sigmoid", "softplus", "floor", "ceil", "round", "clip",
	"avg_pool2d", "conv_transpose2d", "group_norm", "resize", "lstm", "gru", "rnn",
	"argmin", "gather", "gather_elements", "gather_nd", "scatter_elements", "scatter_nd", "pad", "cumsum", "trilu", "range",
	"min", "max", "pow", "mod", "less", "less_equal", "greater", "greater_equal", "and", "or", "xor", "not", "is_nan", "is_inf",
}

// TestLacks: the device has a kernel for every operator but these.
func TestLacks(t *testing.T) {
	d, err := emulated(t)(device.Options{})
	require.NoError(t, err)
	defer d.Close()
	can := d.Capabilities()
	var lacking []string
	for _, name := range op.Names() {
		if can.Lacks(named{name: name}, nil) {
			lacking = append(lacking, name)
		}
	}
	require.ElementsMatch(t, lacked, lacking)
}

// named is an operator that is only a name.
type named struct {
	op.Op
	name string
}

func (n named) Name() string { return n.name }
