package engine

import (
	"context"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "overhead-ns/op better=lower", "steps/op assume=exact",
		"best-ns/op better=lower", "GB/s better=higher", "probe-GB/s better=higher", "bw-frac better=higher")
	goleak.VerifyTestMain(m)
}

func f32(v ...float32) []byte { return op.FromF32(v, len(v)).Data }

// appendPlan carries [1, past, 2] rows, appends new ones and sums over them.
func appendPlan() *plan.Plan {
	past, n := plan.Sym("past"), plan.Sym("n")
	f := func(s ...plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: s} }
	return &plan.Plan{
		Version: plan.Version, Name: "append",
		Values: []plan.Value{
			{Kind: plan.KindState, Name: "rows", Spec: f(plan.C(1), past, plan.C(2)), Buffer: plan.NoBuffer},
			{Kind: plan.KindInput, Name: "x", Spec: f(plan.C(1), n, plan.C(2)), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(plan.C(1), past.Add(n), plan.C(2)), Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: f(plan.C(1), plan.C(2)), Buffer: 0},
		},
		Steps: []plan.Step{
			{Op: "append", Attrs: op.Append{Axis: 1}.Attrs(), In: []int{0, 1}, Out: 2},
			{Op: "reduce", Attrs: op.Reduce{Kind: "sum", Axes: []int{1}}.Attrs(), In: []int{2}, Out: 3},
		},
		Inputs:  []plan.Port{{Name: "x", Value: 1}},
		Outputs: []plan.Output{{Name: "sum", Value: 3, Place: plan.Download}, {Name: "all", Value: 2, Place: plan.Retain}},
		States:  []plan.State{{Name: "rows", Mode: plan.StateAppend, In: 0, Out: 2, Axis: 1}},
		Buffers: 1,
	}
}

func TestAppendGrows(t *testing.T) {
	e, err := New(Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	p, err := e.Compile(appendPlan())
	require.NoError(t, err)
	require.Equal(t, []string{"past", "n"}, p.Symbols())
	s := e.NewSession()
	var sum [2]float32
	for past := 0; past < 100; past += 3 {
		c, err := s.NewCall(p, []int{past, 3})
		require.NoError(t, err)
		x := make([]float32, 6)
		for i := range x {
			x[i] = float32(past*2 + i)
			sum[i%2] += x[i]
		}
		require.NoError(t, c.SetInput(0, f32(x...)))
		require.NoError(t, c.Run(context.Background()))
		out, _ := c.Output(0)
		require.Equal(t, f32(sum[:]...), out.Data)
		_, h := c.Output(1)
		c.Release()
		all, err := s.Read(h)
		require.NoError(t, err)
		require.Equal(t, []int{1, past + 3, 2}, all.Shape)
		require.Equal(t, f32(0, 1, 2, 3), all.Data[:16])
		s.Release(h)
	}
	_, err = s.NewCall(p, []int{5, 1})
	require.Error(t, err)
}
