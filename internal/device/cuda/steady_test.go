package cuda_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/semantic"
)

// TestSteadyStepAllocatesNothing decodes far into pages: a step allocates nothing
// on the Go heap, and nothing on the device or of page-locked memory.
func TestSteadyStepAllocatesNothing(t *testing.T) {
	drv := &nothing{next: 256, sizes: map[driver.Ptr]int64{}}
	e, err := engine.New(engine.Options{Device: cuda.Open(drv, 0, cuda.Options{})})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	d := newDecoder(t, "basic", semantic.PhaseDecode, e, false)
	s, in, past, token := e.NewSession(), d.inputs(1), 0, []int{1}
	step := func() {
		if err := d.step(s, in, token, past, nil); err != nil {
			t.Fatal(err)
		}
		past++
	}
	for range 70 {
		step()
	}
	allocs := drv.allocs
	require.Zero(t, testing.AllocsPerRun(50, step))
	require.Equal(t, allocs, drv.allocs)
}
