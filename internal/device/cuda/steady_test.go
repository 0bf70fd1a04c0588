package cuda_test

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/semantic"
)

// TestSteadyStepAllocatesNothing decodes far into pages: a step allocates nothing
// on the Go heap, and nothing on the device or of page-locked memory.
func TestSteadyStepAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates; without it: go test -run TestSteadyStepAllocatesNothing ./internal/device/cuda")
	}
	drv := newNothing()
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

// TestSteadyBatchesAllocateNothing decodes in concurrent sessions that share
// products: fewer allocations remain than there are steps.
func TestSteadyBatchesAllocateNothing(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates; without it: go test -run TestSteadyBatchesAllocateNothing ./internal/device/cuda")
	}
	drv := newNothing()
	e, err := engine.New(engine.Options{Device: func(o device.Options) (device.Device, error) {
		o.Fault = func(string) { // so that calls meet
			for range 50 {
				runtime.Gosched()
			}
		}
		return cuda.Open(drv, 0, cuda.Options{})(o)
	}})
	require.NoError(t, err)
	defer func() { require.NoError(t, e.Close()) }()
	d := newDecoder(t, "basic", semantic.PhaseDecode, e, false)
	const sessions, warm, steps = 3, 70, 50
	var all, ready sync.WaitGroup
	ready.Add(sessions)
	begin := make(chan struct{})
	for range sessions {
		all.Go(func() {
			s, in := e.NewSession(), d.inputs(1)
			defer s.Close()
			for past := range warm + steps {
				if past == warm {
					ready.Done()
					<-begin
				}
				if err := d.step(s, in, []int{1}, past, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ready.Wait()
	var before, after runtime.MemStats
	batches := e.Stats().Batches
	runtime.ReadMemStats(&before)
	close(begin)
	all.Wait()
	runtime.ReadMemStats(&after)
	require.Greater(t, e.Stats().Batches-batches, int64(steps/2))
	require.Less(t, after.Mallocs-before.Mallocs, uint64(sessions*steps))
}
