package cudatest_test

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/device/cuda/cudatest"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/inprocess"
	"github.com/genie-sdk/go/internal/worker/workertest"
)

const testdata = "../../../../testdata"

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, append(results.DefaultUnits(),
		"read-B/s better=higher", "FLOP/s better=higher", "f32-FLOP/s better=higher", "bf16-FLOP/s better=higher", "batch better=higher")...)
	goleak.VerifyTestMain(m)
}

// target opens the device that is tested. It never stands in for another one.
func target(t testing.TB) device.Open {
	t.Helper()
	name := deviceName()
	if name == "cpu" {
		return cpu.Open
	}
	open, err := openNamed(name)
	require.NoError(t, err, "%s", cudatest.EnvDevice)
	return open
}

func deviceName() string { return cmp.Or(os.Getenv(cudatest.EnvDevice), defaultDevice) }

// engineOptions has no CPU beside the device: a plan with an operator that the
// device lacks is refused.
func engineOptions(t testing.TB) engine.Options {
	return engine.Options{Device: target(t), Threads: 2}
}

// inProcess is a client of an engine in this process.
func inProcess(t testing.TB, o engine.Options) *genie.Client {
	t.Helper()
	e, err := engine.New(o)
	require.NoError(t, err)
	exec := inprocess.New(e)
	c := genie.NewClient(exec)
	t.Cleanup(func() { require.NoError(t, errors.Join(c.Close(), exec.Close())) })
	return c
}

// onCPU is a client of an engine on the CPU.
func onCPU(t testing.TB) *genie.Client {
	return inProcess(t, engine.Options{Device: cpu.Open, Threads: 2})
}

// remote is a client of a worker over TCP: of the one that [cudatest.EnvWorker]
// names, or of one in this process with the device.
func remote(t testing.TB) *genie.Client {
	t.Helper()
	url := os.Getenv(cudatest.EnvWorker)
	if url == "" {
		w := workertest.StartEngine(t, engineOptions(t), nil)
		url = "tcp://" + w.TCP
	}
	c, err := genie.Open(context.Background(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// TestTarget checks that the executors compute on the device under test.
func TestTarget(t *testing.T) {
	d, err := target(t)(device.Options{Threads: 2})
	require.NoError(t, err)
	info := d.Info()
	d.Close()
	t.Logf("device %s, path %s", info.Kind, info.Path)
	require.Equal(t, deviceName() == "cpu", info.Kind == "cpu")
	for name, c := range map[string]*genie.Client{"in-process": inProcess(t, engineOptions(t)), "worker": remote(t)} {
		st, err := c.Stats(t.Context())
		require.NoError(t, err)
		paths := strings.Split(st.CPU, "+")
		require.True(t, slices.Contains(paths, info.Path), "%s runs on %s, not on %s", name, st.CPU, info.Path)
	}
}
