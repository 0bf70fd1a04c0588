package semantic_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// slowed has a product, and an operator without a kernel.
func slowed(t *testing.T) (g *lazy.Graph, slow *lazy.Tensor) {
	t.Helper()
	g = lazy.NewGraph("slowed")
	x := g.Input("x", lazy.F32, "n", 64)
	h := lazy.ReLU(lazy.MatMul(x, g.WeightF32("w", make([]float32, 64*64), 64, 64)))
	slow = lazy.CumSum(h, -1)
	g.Output("y", lazy.MatMul(slow, g.WeightF32("v", []float32{63: 1}, 64, 1)))
	require.NoError(t, g.Err())
	return g, slow
}

// TestExplainKernels: each step that is computed has a kernel and a time, in the
// text, in the drawing and in JSON, and references say so.
func TestExplainKernels(t *testing.T) {
	g, slow := slowed(t)
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	for _, policy := range policies() {
		e, err := semantic.Explain(s, policy, plan.Bindings{"n": 32})
		require.NoError(t, err)
		var steps []int
		total := 0.0
		for _, k := range e.Kernels {
			steps = append(steps, k.Steps...)
			require.NotEmpty(t, k.Kernel)
			require.Positive(t, k.Cost.Seconds)
			require.Equal(t, k.Kernel == "reference", k.Reference)
			require.Equal(t, k.Name == "cumsum", k.Reference)
			total += k.Cost.Seconds
		}
		slices.Sort(steps)
		require.Len(t, slices.Compact(steps), len(e.Plan.Steps))
		require.Equal(t, 1, e.Slow.Kernels)
		require.InEpsilon(t, e.Slow.Seconds/total, e.Slow.Share, 1e-9)
		require.Greater(t, e.Slow.Share, 0.1)
		require.Equal(t, "reference", e.Nodes[slow.ID()].Kernel)
		require.Contains(t, e.Nodes[slow.ID()].Location, "semantic/explain_kernels_test.go:")

		text := e.Text()
		require.Contains(t, text, "1 of them are references of operators without a kernel")
		require.Regexp(t, `(?m)^  \d+ +matmul.* gemm +with step \d+$`, text)
		require.Regexp(t, `(?m)^  \d+ +cumsum.* reference +[\d.]+ us$`, text)
		dot := e.Dot()
		require.Contains(t, dot, "kernel gemm, with step")
		require.Contains(t, dot, `kernel reference, `)
		require.Contains(t, dot, "fillcolor=orange")
		b, err := json.Marshal(e)
		require.NoError(t, err)
		for _, key := range []string{`"kernels":`, `"slow":`, `"reference":true`, `"location":"semantic/`} {
			require.Contains(t, string(b), key)
		}
	}
}

// TestExplainNotes: a pattern that was not taken is in every form, with its reason.
func TestExplainNotes(t *testing.T) {
	g, slow := slowed(t)
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	s.Notes = append(s.Notes, semantic.Note{Rule: "attention", At: slow, Reason: "the mask depends on data"})
	e, err := semantic.Explain(s, semantic.Full(), plan.Bindings{"n": 32})
	require.NoError(t, err)
	require.Len(t, e.Notes, len(s.Notes))
	const says = "attention not fused: the mask depends on data"
	require.Contains(t, e.Text(), says+" at %")
	require.Contains(t, e.Dot(), says)
	b, err := json.Marshal(e.Notes)
	require.NoError(t, err)
	require.Contains(t, string(b), `"reason":"the mask depends on data"`)
}

// TestReferencesArePriced: the cost model knows that a reference is slow, by its
// usual rate or by a measured one, and on a GPU that what it lacks runs beside it.
func TestReferencesArePriced(t *testing.T) {
	g, _ := slowed(t)
	s, err := semantic.Analyze(g)
	require.NoError(t, err)
	of := func(d semantic.Device) semantic.Kernel {
		kernels, err := s.KernelsOn(d, plan.Bindings{"n": 32})
		require.NoError(t, err)
		at := slices.IndexFunc(kernels, func(k semantic.Kernel) bool { return k.Name == "cumsum" })
		require.GreaterOrEqual(t, at, 0)
		return kernels[at]
	}
	d := semantic.ReferenceDevice()
	k := of(d)
	require.True(t, k.Reference())
	require.Equal(t, semantic.ClassReference, k.Rated())
	require.NotEqual(t, semantic.ClassReference, k.Class)
	fast := k
	fast.By = "cumsum"
	require.Greater(t, d.KernelSeconds(k), 5*d.KernelSeconds(fast))
	work := semantic.ClassReference.Work(k.Cost)
	require.InDelta(t, k.Cost.FLOPs+2*32*64, work, 0.5, "operations, and elements read and written")
	d.Calibration = &semantic.Calibration{Kernels: map[semantic.Class]semantic.Curve{
		semantic.ClassReference: {{Work: work, Seconds: 7}}, semantic.ClassElementwise: {{Work: 1, Seconds: 1e-9}},
	}}
	require.InDelta(t, 7, d.KernelSeconds(k), 1e-9)

	gpu, ok := semantic.PublishedNamed("h100")
	require.True(t, ok)
	k = of(gpu)
	require.Equal(t, "cpu (lacking): reference", k.By)
	require.True(t, k.Reference())
	require.Greater(t, gpu.KernelSeconds(k), semantic.ReferenceDevice().KernelSeconds(of(semantic.ReferenceDevice())))
}
