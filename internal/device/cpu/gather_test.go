package cpu

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// TestGathersOfAnyAxis compares gathers with the operators' references, errors
// of indices included.
func TestGathersOfAnyAxis(t *testing.T) {
	rng := rand.New(rand.NewPCG(81, 82))
	d := alone(t, 3)
	failed := 0
	for round := range 500 {
		shape := [][]int{{7}, {3, 5}, {3, 70, 9}, {130, 257}, {2, 3, 1, 1200}, {12, 5, 4, 3, 3}, {50, 300}}[rng.IntN(7)]
		dt := []plan.DType{plan.F32, plan.I64, plan.Bool}[rng.IntN(3)]
		x := layOut(rng, dt, shape)
		axis := rng.IntN(len(shape))
		idxShape := [][]int{{}, {1}, {40}, {3, 7}, {0}}[rng.IntN(5)]
		var o op.Op = op.Gather{Axis: axis - len(shape)*rng.IntN(2)}
		dims := slices.Concat(shape[:axis], idxShape, shape[axis+1:])
		run := runGather
		if rng.IntN(2) == 0 {
			o, run = op.GatherElements{Axis: axis}, runGatherElements
			idxShape = slices.Clone(shape)
			for i := range idxShape {
				if i == axis || rng.IntN(2) == 0 {
					idxShape[i] = 1 + rng.IntN(idxShape[i])
				}
			}
			dims = idxShape
		}
		idx := layOut(rng, []plan.DType{plan.I32, plan.I64}[rng.IntN(2)], idxShape)
		for i := range len(idx.Data) / idx.DType.Size() {
			idx.SetInt(i, rng.IntN(2*shape[axis])-shape[axis])
			if rng.IntN(2000) == 0 {
				idx.SetInt(i, []int{shape[axis], -shape[axis] - 1, 1 << 30}[rng.IntN(3)])
			}
		}
		want, got := op.NewArray(dt, dims...), op.NewArray(dt, dims...)
		what := fmt.Sprintf("%d: %s of %v %v at %v stored %v", round, o.Name(), dt, shape, idxShape, idx.Strides)
		s := copyStepOf(d, o, got, x, idx)
		wantErr := error(nil)
		if want.Len() > 0 {
			wantErr = o.Eval(want, []*op.Array{x, idx}, nil)
		}
		err := run(s)
		if wantErr != nil {
			require.ErrorIs(t, wantErr, op.ErrIndex)
			require.ErrorIs(t, err, op.ErrIndex, what)
			failed++
			continue
		}
		require.NoError(t, err, what)
		require.Equal(t, want.Data, got.Data, what)
	}
	require.Positive(t, failed)
}

func TestPickOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(83, 84))
	d := alone(t, 2)
	x := layOut(rng, plan.F32, []int{3, 9, 40})
	idx := &op.Array{DType: plan.I64, Shape: []int{3}, Strides: []int{2}, Data: make([]byte, 8*5)}
	idx.SetInt(0, 8)
	idx.SetInt(4, 3)
	want, got := op.NewArray(plan.F32, 3, 40), op.NewArray(plan.F32, 3, 40)
	require.NoError(t, op.Pick{}.Eval(want, []*op.Array{x, idx}, nil))
	require.NoError(t, runPick(copyStepOf(d, op.Pick{}, got, x, idx)))
	require.Equal(t, want.Data, got.Data)
	idx.SetInt(2, 9)
	require.ErrorIs(t, runPick(copyStepOf(d, op.Pick{}, got, x, idx)), op.ErrIndex)
}
