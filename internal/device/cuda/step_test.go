package cuda_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/emulator"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/semantic"
)

// TestStepWaitsOnce counts what a decode step asks of the driver: it waits once,
// for the token, which comes with the status word; constants and page tables are
// on the device already, and the inputs go there in one copy.
func TestStepWaitsOnce(t *testing.T) {
	drv := emulator.New(emulator.Options{})
	e, err := engine.New(engine.Options{Device: cuda.Open(drv, 0, cuda.Options{}), MaxBatch: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	d := newDecoder(t, "basic", semantic.PhaseDecode, e, false)
	s, in := e.NewSession(), d.inputs(70)
	defer s.Close()
	step := func(tokens, past int) {
		require.NoError(t, d.step(s, in, prompt(tokens, past), past, nil))
	}
	step(70, 0) // so that there are pages
	step(1, 70)
	for past := 71; past < 75; past++ {
		before := drv.Counts()
		step(1, past)
		after := drv.Counts()
		require.Equal(t, 1, after.Synchronizes-before.Synchronizes)
		require.Equal(t, 3, after.Copies-before.Copies, "inputs, the status word and the token")
		require.Equal(t, [3]int{before.Allocs, before.HostAllocs, before.Streams}, [3]int{after.Allocs, after.HostAllocs, after.Streams})
		require.Less(t, after.Launches-before.Launches, 2*len(d.prog.Groups))
	}

	// A run of another session in the same memory overwrites them.
	other := e.NewSession()
	defer other.Close()
	require.NoError(t, d.step(other, d.inputs(2), prompt(2, 1), 0, nil))
	before := drv.Counts()
	step(1, 75)
	require.Equal(t, 3, drv.Counts().Copies-before.Copies, "they go with the inputs")
}

// TestTimes measures groups by events.
func TestTimes(t *testing.T) {
	e, err := engine.New(engine.Options{Device: emulated(t), Profile: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	d := newDecoder(t, "basic", semantic.PhaseDecode, e, false)
	s, in := e.NewSession(), d.inputs(3)
	defer s.Close()
	var took time.Duration
	require.NoError(t, d.step(s, in, prompt(3, 1), 0, func(c *engine.Call) { took = c.KernelTime() }))
	sum := time.Duration(0)
	kernels := e.Stats().Kernels
	for _, l := range d.prog.Labels {
		require.Positive(t, kernels[l], l)
	}
	for _, k := range kernels {
		sum += k
	}
	require.Equal(t, took, sum)
}
