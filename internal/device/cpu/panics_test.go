package cpu

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// freely never stops a run.
type freely struct{}

func (freely) Halt() bool   { return false }
func (freely) Halted() bool { return false }

// TestPanicInAChunk makes chunks of a kernel panic on any goroutine of the
// pool: the run's error is [transport.ErrInternal], with the stack of the
// chunk, and the next run computes.
func TestPanicInAChunk(t *testing.T) {
	const n = 64
	shape := plan.Shape{plan.C(n)}
	p := &plan.Plan{
		Version: plan.Version, Name: "panics",
		Values: []plan.Value{
			{Kind: plan.KindInput, Spec: plan.Spec{DType: plan.F32, Shape: shape}, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: plan.Spec{DType: plan.F32, Shape: shape}},
		},
		Steps:   []plan.Step{{Op: "relu", In: []int{0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download}},
		Buffers: 1,
	}
	require.NoError(t, p.Validate())
	d, err := Open(device.Options{Threads: 4})
	require.NoError(t, err)
	defer d.Close()
	prog, err := program.Compile(p, program.Options{}, op.NewWork(nil))
	require.NoError(t, err)
	compiled, err := d.Compile(prog, op.NewWork(nil))
	require.NoError(t, err)
	kernels := compiled.(*code).kernels
	relu := kernels[0].run
	kernels[0].run = func(s *step) error {
		s.pool.run(s.job, s, n, 1, func(_ *step, lo, _ int) {
			if lo%7 == 3 {
				panic("planted in a chunk")
			}
		})
		return nil
	}

	b := program.NewBound(prog)
	require.NoError(t, b.Eval(b.Set(nil)))
	r := compiled.NewRun(b, freely{})
	require.NoError(t, r.Prepare(context.Background(), make([]device.Weight, len(p.Values))))
	need := make([]int, len(b.Workspaces))
	r.Workspaces(need)
	_, err = b.FitBuffers(^uint64(0), need, 1<<20)
	require.NoError(t, err)
	arena, err := d.Alloc(context.Background(), device.UseScratch, max(b.Total, 1))
	require.NoError(t, err)
	defer d.Free(device.UseScratch, arena)
	x := (&op.Array{Data: make([]byte, 4*n)})
	x.F32()[1] = 5
	require.NoError(t, r.Place(device.Placement{Arena: arena, Inputs: []device.Input{{Data: x.Data}}}))
	for range 20 {
		ran, err := r.Groups(0, 1, nil)
		require.ErrorIs(t, err, transport.ErrInternal)
		require.Zero(t, ran)
		caught, ok := errors.AsType[*device.PanicError](err)
		require.True(t, ok)
		require.Contains(t, string(caught.Stack), "TestPanicInAChunk")
	}
	kernels[0].run = relu
	_, err = r.Groups(0, 1, nil)
	require.NoError(t, err)
	require.InDelta(t, 5, (&op.Array{Data: r.View(1)}).F32()[1], 0)
}
