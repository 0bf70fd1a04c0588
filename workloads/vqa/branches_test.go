package vqa_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/workloadtest"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vqa"
)

// engines run the towers sequentially and side by side.
var engines = []struct {
	name string
	opts []local.Option
}{{"in-turn", nil}, {"side-by-side", []local.Option{local.WithBranches()}}}

func runners(t testing.TB, scale workloads.Scale) (*vqa.Workload, []workloads.Runner) {
	t.Helper()
	w, err := vqa.Load(workloadtest.Testdata, scale, vqa.Batches(scale)[0])
	require.NoError(t, err)
	dir, err := w.Dir(t.Context(), nil)
	require.NoError(t, err)
	p, err := w.Load(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	var out []workloads.Runner
	for _, e := range engines {
		x, err := local.Open(append(e.opts, local.WithThreads(2))...)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, x.Close()) })
		r, err := p.Open(t.Context(), genie.NewClient(x))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, r.Close()) })
		out = append(out, r)
	}
	return w, out
}

// TestSideBySide checks that towers side by side give the same bits as in
// sequence.
func TestSideBySide(t *testing.T) {
	w, rs := runners(t, workloads.Tiny)
	var first []float32
	for range 20 {
		for _, r := range rs {
			run, err := r.Run(t.Context(), workloads.RunOptions{})
			require.NoError(t, err)
			_, err = w.Verify(run.Output)
			require.NoError(t, err)
			if first == nil {
				first = run.Tensors[vqa.LogitsPerImage]
			}
			require.Equal(t, first, run.Tensors[vqa.LogitsPerImage])
		}
	}
}

// BenchmarkTowers compares the two. Besides the time of a call it reports the
// executor's own part of it.
func BenchmarkTowers(b *testing.B) {
	scale, err := workloads.ScaleFromEnv()
	require.NoError(b, err)
	w, rs := runners(b, scale)
	for i, e := range engines {
		b.Run(benchname.Of("vqa-towers", e.name, "model="+w.ID().Model), func(b *testing.B) {
			var executor time.Duration
			for b.Loop() {
				run, err := rs[i].Run(b.Context(), workloads.RunOptions{})
				if err != nil {
					b.Fatal(err)
				}
				executor += run.Executor[0]
			}
			b.ReportMetric(float64(executor.Nanoseconds())/float64(b.N), "executor-ns/op")
		})
	}
}
