package op_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// expandPlan is tanh(expand(exp(x))), whose expand has the given buffer, and the
// expand is an output if it leaves.
func expandPlan(buffer int, leaves bool) *plan.Plan {
	f32 := func(dims ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: dims} }
	n, k := plan.Sym("n"), plan.C(4)
	p := &plan.Plan{
		Version: plan.Version, Buffers: 3,
		Values: []plan.Value{
			{Kind: plan.KindInput, Spec: f32(k), Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Spec: f32(n), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f32(k), Buffer: 0},
			{Kind: plan.KindTemp, Spec: f32(n, k), Buffer: buffer},
			{Kind: plan.KindTemp, Spec: f32(n, k), Buffer: 2},
		},
		Inputs: []plan.Port{{Name: "x", Value: 0}, {Name: "y", Value: 1}},
		Steps: []plan.Step{
			{Op: "exp", In: []int{0}, Out: 2},
			{Op: "expand", Attrs: plan.Attrs{plan.Dims("shape", n, k)}, In: []int{2}, Out: 3},
			{Op: "tanh", In: []int{3}, Out: 4},
		},
		Outputs: []plan.Output{{Name: "z", Value: 4, Place: plan.Download, Cause: plan.CauseActivation}},
	}
	if leaves {
		p.Outputs = append(p.Outputs, plan.Output{Name: "e", Value: 3, Place: plan.Download, Cause: plan.CauseActivation})
	}
	return p
}

// TestExpandIsView checks when an expand moves nothing: unless it leaves the
// run, or the plan gives it memory of its own, as plans once did.
func TestExpandIsView(t *testing.T) {
	for name, c := range map[string]struct {
		buffer       int
		leaves, view bool
	}{
		"within the run":             {0, false, true},
		"an output":                  {1, true, false},
		"with memory of its own":     {1, false, false},
		"an output in its operand's": {0, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := expandPlan(c.buffer, c.leaves)
			r, err := op.Resolve(p)
			require.NoError(t, err)
			require.Equal(t, c.view, r.View[1])
			if c.view {
				require.Equal(t, 2, r.Base[3])
				require.True(t, r.Layouts[3].Strides[0].Is(0))
				require.True(t, r.Layouts[3].Strides[1].Is(1))
			}
			if err := r.CheckBuffers(); c.buffer == 0 && c.leaves {
				require.ErrorIs(t, err, plan.ErrInvalid, "both are alive in one buffer")
			} else {
				require.NoError(t, err)
			}
		})
	}
}
