package baselines_test

import (
	"context"
	"testing"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// BenchmarkDecodeOverhead measures what a local decode step costs above the
// sum of its kernels: the SDK, binding, the engine's loop, and the clock that
// measures it.
func BenchmarkDecodeOverhead(b *testing.B) {
	w := workload(b, llm.Decode)
	// Not named like a cell, so that tables of cells leave it out.
	b.Run("step=decode/model="+w.Scale.Model(), func(b *testing.B) {
		ctx := context.Background()
		dir, err := llm.ModelDir(ctx, testdata, w.Scale, nil)
		if err != nil {
			b.Fatal(err)
		}
		m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
		if err != nil {
			b.Fatal(err)
		}
		defer m.Close()
		exec, err := local.Open(local.WithProfile())
		if err != nil {
			b.Fatal(err)
		}
		defer exec.Close()
		client := genie.NewClient(exec)
		defer client.Close()
		var kernels, steps time.Duration
		n := 0
		for b.Loop() {
			k, d, c := overheadRun(ctx, b, client, m, w)
			kernels, steps, n = kernels+k, steps+d, n+c
		}
		b.ReportMetric(float64((steps-kernels).Nanoseconds())/float64(n), "overhead-ns/tok")
		b.ReportMetric(float64(kernels.Nanoseconds())/float64(n), "kernels-ns/tok")
	})
}

func overheadRun(ctx context.Context, b *testing.B, client *genie.Client, m *gpt2.Model, w *llm.Workload) (kernels, steps time.Duration, n int) {
	b.Helper()
	s, err := client.NewSession(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	kernelTime := func() time.Duration {
		st, err := client.Stats(ctx)
		if err != nil {
			b.Fatal(err)
		}
		return st.KernelTime
	}
	var first time.Duration
	out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
		Prompts: [][]int{w.Prompt}, MaxNew: len(w.Want), IgnoreEOS: true,
		OnToken: func(int, int) error {
			if n++; n == 1 {
				first = kernelTime()
			}
			return nil
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Verify(out.Tokens[0]); err != nil {
		b.Fatal(err)
	}
	for _, d := range out.Steps {
		steps += d
	}
	return kernelTime() - first, steps, len(out.Steps)
}
