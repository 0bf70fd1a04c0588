package cuda_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// always stops a run at once.
type always struct{}

func (always) Halt() bool   { return true }
func (always) Halted() bool { return true }

// TestHaltedReadGivesItsQueueBack reads inputs of runs that are stopped while they
// bring them to the device, before any group of theirs: the queue goes to the
// next run.
func TestHaltedReadGivesItsQueueBack(t *testing.T) {
	const n = 5000
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}}
	p := &plan.Plan{
		Version: plan.Version, Name: "halted",
		Values: []plan.Value{
			{Kind: plan.KindInput, Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: spec},
		},
		Steps:   []plan.Step{{Op: "relu", In: []int{0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download}},
		Buffers: 1,
	}
	require.NoError(t, p.Validate())
	d := openStored(t, newStored(), cuda.Options{}, device.Options{})
	prog, err := program.Compile(p, program.Options{}, op.NewWork(nil))
	require.NoError(t, err)
	code, err := d.Compile(prog, op.NewWork(nil))
	require.NoError(t, err)
	b := program.NewBound(prog)
	require.NoError(t, b.Eval(b.Set(nil)))
	var held int64
	for i := range 4 {
		r := code.NewRun(b, always{})
		require.NoError(t, r.Prepare(context.Background(), make([]device.Weight, len(p.Values))))
		need := make([]int, len(b.Workspaces))
		r.Workspaces(need)
		_, err = b.FitBuffers(^uint64(0), need, 1<<20)
		require.NoError(t, err)
		arena, err := d.Alloc(context.Background(), device.UseScratch, max(b.Total, 1))
		require.NoError(t, err)
		require.NoError(t, r.Place(device.Placement{Arena: arena, Inputs: []device.Input{{Data: make([]byte, 4*n)}}}))
		require.ErrorIs(t, r.Read(0, make([]byte, 4*n)), op.ErrHalted)
		d.Free(device.UseScratch, arena)
		if taken, _ := cuda.Taken(d); i == 0 {
			held = taken
		} else {
			require.Equal(t, held, taken, "run %d", i)
		}
	}
}
