package studies_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// BenchmarkDecodeOverhead measures the cost of a local decode step above the
// sum of its kernels: the SDK, binding, the engine's loop, and the clock that
// measures it.
func BenchmarkDecodeOverhead(b *testing.B) {
	w := workload(b, llm.Decode)
	b.Run(benchname.Of("decode-overhead", "genie", "model="+llm.ModelName(w.ID().Scale)), func(b *testing.B) {
		ctx := context.Background()
		m, client := loaded(b, w.ID().Scale), opened(b, local.WithProfile())
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

// BenchmarkProfile measures the time profile of a workload: the share of each
// kind of step, with the shape of its matrix, in percent of the kernels' time,
// and their sum.
func BenchmarkProfile(b *testing.B) {
	for _, w := range []*llm.Workload{workload(b, llm.Decode), workload(b, llm.Prefill)} {
		b.Run(benchname.Of("profile", "genie", "of="+w.ID().Name, "model="+llm.ModelName(w.ID().Scale)), func(b *testing.B) {
			m, client := loaded(b, w.ID().Scale), opened(b, local.WithProfile())
			ctx := context.Background()
			for b.Loop() {
				overheadRun(ctx, b, client, m, w)
			}
			st, err := client.Stats(ctx)
			if err != nil {
				b.Fatal(err)
			}
			for label, d := range st.Kernels {
				if share := 100 * float64(d) / float64(st.KernelTime); share >= 0.5 {
					b.ReportMetric(share, strings.ReplaceAll(label, " ", "")+"-%")
				}
			}
			b.ReportMetric(float64(st.KernelTime.Nanoseconds())/float64(b.N), "kernels-ns/op")
		})
	}
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
		Prompts: w.Prompts, MaxNew: w.New(), IgnoreEOS: true,
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
	if _, err := w.Verify(workloads.Output{Tokens: out.Tokens}); err != nil {
		b.Fatal(err)
	}
	for _, d := range out.Steps {
		steps += d
	}
	return kernelTime() - first, steps, len(out.Steps)
}
