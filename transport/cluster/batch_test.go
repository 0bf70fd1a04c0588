package cluster_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/transport/plan"
)

// stack is layers of x*w and a ReLU over a batch [n, width].
func stack(layers, width int) (*plan.Plan, transport.Weights) {
	rows := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.Sym("n"), plan.C(width)}}
	p := &plan.Plan{Version: plan.Version, Name: "stack", Inputs: []plan.Port{{Name: "x"}}, States: []plan.State{}}
	p.Values = append(p.Values, plan.Value{Kind: plan.KindInput, Spec: rows, Buffer: plan.NoBuffer})
	weights := transport.Weights{}
	x := 0
	step := func(op string, attrs plan.Attrs, in ...int) {
		p.Values = append(p.Values, plan.Value{Kind: plan.KindTemp, Spec: rows, Buffer: p.Buffers})
		x = len(p.Values) - 1
		p.Steps = append(p.Steps, plan.Step{Op: op, Attrs: attrs, In: in, Out: x})
		p.Buffers++
	}
	for i := range layers {
		data := planmaker.Elements(plan.F32, width*width, i)
		h := transport.HashWeight(plan.F32, []int{width, width}, data)
		weights[h] = transport.Weight{Hash: h, Storage: plan.F32, Shape: []int{width, width}, Data: data}
		p.Values = append(p.Values, plan.Value{
			Kind: plan.KindWeight, Spec: plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(width), plan.C(width)}},
			Hash: h, Storage: plan.F32, Buffer: plan.NoBuffer,
		})
		step("matmul", plan.Attrs{plan.BoolAttr("trans_a", false), plan.BoolAttr("trans_b", false)}, x, len(p.Values)-1)
		step("relu", nil, x)
	}
	p.Outputs = []plan.Output{{Name: "y", Value: x, Place: plan.Download, Cause: plan.CauseActivation}}
	return p, weights
}

// halves places the first half of the steps on member 0 and the others on 1.
func halves() cluster.Option {
	return cluster.WithPlacement(func(p *plan.Plan) []int {
		out := make([]int, len(p.Steps))
		for i := range out {
			out[i] = 2 * i / len(out)
		}
		return out
	})
}

// TestMicroBatches holds a run in micro-batches to the whole run, bit by bit, and
// counts how many are under way at once.
func TestMicroBatches(t *testing.T) {
	p, weights := stack(4, 8)
	symbol, ok := semantic.BatchSymbol(p)
	require.True(t, ok)
	require.Equal(t, "n", symbol)
	alone, err := local.Open()
	require.NoError(t, err)
	defer func() { require.NoError(t, alone.Close()) }()
	one, oneRef, err := prepared(t, alone, p, weights)
	require.NoError(t, err)

	members := make([]cluster.Member, 2)
	faults := make([]*faulty, 2)
	var runs [2]atomic.Int64
	for i := range members {
		faults[i] = &faulty{Executor: smallLocal(t)}
		members[i].Executor = faults[i]
		faults[i].set(func() error { runs[i].Add(1); return nil })
	}
	ex, err := cluster.New(members, halves(), cluster.WithMicroBatches(4, semantic.BatchSymbol))
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	two, twoRef, err := prepared(t, ex, p, weights)
	require.NoError(t, err)
	for _, tt := range []struct{ size, parts int }{{0, 1}, {1, 1}, {2, 2}, {7, 4}, {8, 4}, {33, 4}} {
		before := [2]int64{runs[0].Load(), runs[1].Load()}
		stats, err := ex.Stats(t.Context())
		require.NoError(t, err)
		call := transport.Call{Bindings: []int{tt.size}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 8*tt.size, 3)}}}
		call.Plan = oneRef
		want, err := one.Run(t.Context(), call)
		require.NoError(t, err)
		call.Plan = twoRef
		got, err := two.Run(t.Context(), call)
		require.NoError(t, err)
		require.Equal(t, want.Outputs[0].Tensor, got.Outputs[0].Tensor, "batch of %d", tt.size)
		for i := range runs {
			require.EqualValues(t, tt.parts, runs[i].Load()-before[i], "batch of %d on member %d", tt.size, i)
		}
		after, err := ex.Stats(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 1, after.Runs-stats.Runs, "one run for the caller")
	}

	// A micro-batch that fails ends the others, and the run has its error.
	var left atomic.Int64
	left.Store(5)
	faults[0].set(func() error {
		if left.Add(-1) < 3 {
			return errPlanted
		}
		return nil
	})
	call := transport.Call{Plan: twoRef, Bindings: []int{8}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 64, 3)}}}
	_, err = two.Run(t.Context(), call)
	require.ErrorIs(t, err, errPlanted)
	faults[0].set(nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("no longer wanted")
	faults[1].set(func() error { cancel(cause); return nil })
	_, err = two.Run(ctx, call)
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
	faults[1].set(nil)
	_, err = two.Run(t.Context(), call)
	require.NoError(t, err)
}

// TestNoBatch has plans whose runs must not be divided.
func TestNoBatch(t *testing.T) {
	for name, spoil := range map[string]func(p *plan.Plan){
		"a retained output": func(p *plan.Plan) { p.Outputs[0].Place = plan.Retain },
		"a sum over the batch": func(p *plan.Plan) {
			p.Values[p.Steps[1].Out].Spec.Shape = plan.Shape{plan.C(8)}
			p.Steps[1] = plan.Step{
				Op: "reduce", Attrs: plan.Attrs{plan.Ints("axes", []int{0}), plan.BoolAttr("keep", false), plan.Str("kind", "sum")},
				In: p.Steps[1].In, Out: p.Steps[1].Out,
			}
		},
		"softmax over the batch": func(p *plan.Plan) { p.Steps[1].Op, p.Steps[1].Attrs = "softmax", plan.Attrs{plan.Int("axis", 0)} },
		"an operator of a user":  func(p *plan.Plan) { p.Steps[1].Op = "custom.relu" },
	} {
		p, _ := stack(1, 8)
		spoil(p)
		_, ok := semantic.BatchSymbol(p)
		require.False(t, ok, name)
	}
}
