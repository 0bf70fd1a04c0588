package studies_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// BenchmarkDecodeBatch decodes the same prompt in several sequences at once:
// all of them share one read of the weights.
func BenchmarkDecodeBatch(b *testing.B) {
	w := workload(b, llm.Decode)
	m := loaded(b, w.ID().Scale)
	for _, batch := range []int{1, 2, 4, 8} {
		b.Run(benchname.Of("decode-batch", "genie", fmt.Sprintf("batch=%d", batch), "model="+llm.ModelName(w.ID().Scale)), func(b *testing.B) {
			client := opened(b)
			var steps time.Duration
			n := 0
			for b.Loop() {
				d, c := batchRun(b, client, m, w, batch)
				steps, n = steps+d, n+c
			}
			b.ReportMetric(float64(n*batch)/steps.Seconds(), "tok/s")
			b.ReportMetric(float64(steps.Nanoseconds())/float64(n), "step-ns")
		})
	}
}

// batchRun decodes once and returns the time and the number of the steps after
// the first.
func batchRun(b *testing.B, client *genie.Client, m *gpt2.Model, w *llm.Workload, batch int) (time.Duration, int) {
	b.Helper()
	ctx := context.Background()
	s, err := client.NewSession(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	req := genie.GenerateRequest{MaxNew: w.New(), IgnoreEOS: true}
	for range batch {
		req.Prompts = append(req.Prompts, w.Prompts[0])
	}
	out, err := genie.Generate(ctx, s, m.LM, req)
	if err != nil {
		b.Fatal(err)
	}
	for _, tokens := range out.Tokens {
		if _, err := w.Verify(workloads.Output{Tokens: [][]int{tokens}}); err != nil {
			b.Fatal(err)
		}
	}
	var d time.Duration
	for _, x := range out.Steps {
		d += x
	}
	return d, len(out.Steps)
}

// BenchmarkTwoSessions decodes in two sessions, sequentially and concurrently,
// in steps of both. An operation is the generations of the two.
func BenchmarkTwoSessions(b *testing.B) {
	w := workload(b, llm.Decode)
	m := loaded(b, w.ID().Scale)
	for _, order := range []string{"in-turn", "at-once"} {
		b.Run(benchname.Of("two-sessions", order, "model="+llm.ModelName(w.ID().Scale)), func(b *testing.B) {
			client := opened(b)
			batchRun(b, client, m, w, 1)
			for b.Loop() {
				if order == "in-turn" {
					batchRun(b, client, m, w, 1)
					batchRun(b, client, m, w, 1)
					continue
				}
				done := make(chan struct{})
				go func() {
					defer close(done)
					batchRun(b, client, m, w, 1)
				}()
				batchRun(b, client, m, w, 1)
				<-done
			}
			b.ReportMetric(float64(2*w.New()*b.N)/b.Elapsed().Seconds(), "tok/s")
		})
	}
}

func loaded(b *testing.B, scale workloads.Scale) *gpt2.Model {
	b.Helper()
	ctx := context.Background()
	dir, err := llm.ModelDir(ctx, testdata, scale, nil)
	if err != nil {
		b.Fatal(err)
	}
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = m.Close() })
	return m
}

func opened(b *testing.B, opts ...local.Option) *genie.Client {
	b.Helper()
	exec, err := local.Open(opts...)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = exec.Close() })
	client := genie.NewClient(exec)
	b.Cleanup(func() { _ = client.Close() })
	return client
}
