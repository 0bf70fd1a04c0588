package studies_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/local"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// BenchmarkDecodeSessions decodes one prompt in several concurrent sessions,
// each an independent client. tok/s is the tokens of all sessions divided by
// the time from when all have their first token to when all have their last;
// batch is the mean number of runs that the executor merged into one dynamic
// batch. max-batch=1 runs each session alone. Except for tcp-steps, the worker
// runs the loop for its clients.
func BenchmarkDecodeSessions(b *testing.B) {
	w := workload(b, llm.Decode)
	m := loaded(b, w.ID().Scale)
	name := llm.ModelName(w.ID().Scale)
	for _, limit := range []int{16, 1} {
		client := opened(b, local.WithMaxBatch(limit))
		for _, n := range []int{1, 2, 4, 8} {
			b.Run(sessionsName("local", limit, n, name), func(b *testing.B) {
				sessions(b, []*genie.Client{client}, m, w, n)
			})
		}
	}
	worker, err := baselines.StartWorker(context.Background(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = worker.Close() })
	steps := semantic.Full().(semantic.Features)
	steps.Label, steps.Loop = "steps", false
	for _, remote := range []struct {
		via, url string
		policy   semantic.Policy
	}{{"tcp", worker.TCP, semantic.Full()}, {"grpc", worker.GRPC, semantic.Full()}, {"tcp-steps", worker.TCP, steps}} {
		var clients []*genie.Client
		for range 8 {
			c, err := genie.Open(context.Background(), remote.url, genie.WithPolicy(remote.policy))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = c.Close() })
			clients = append(clients, c)
		}
		for _, n := range []int{1, 2, 4, 8} {
			b.Run(sessionsName(remote.via, 16, n, name), func(b *testing.B) {
				sessions(b, clients, m, w, n)
			})
		}
	}
}

func sessionsName(via string, maxBatch, sessions int, model string) string {
	return benchname.Of("decode-sessions", via, fmt.Sprintf("max-batch=%d", maxBatch), fmt.Sprintf("sessions=%d", sessions), "model="+model)
}

// sessions decodes in n sessions, spread over the clients.
func sessions(b *testing.B, clients []*genie.Client, m *gpt2.Model, w *llm.Workload, n int) {
	b.Helper()
	ctx := context.Background()
	open := make([]*genie.Session, n)
	for i := range open {
		s, err := clients[i%len(clients)].NewSession(ctx)
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		open[i] = s
	}
	before, err := clients[0].Stats(ctx)
	if err != nil {
		b.Fatal(err)
	}
	var decoding time.Duration
	for b.Loop() {
		var first, last sync.WaitGroup
		first.Add(n)
		start := make([]time.Time, n)
		for i, s := range open {
			last.Go(func() {
				left := sync.OnceFunc(first.Done)
				defer left()
				req := genie.GenerateRequest{Prompts: w.Prompts[:1], MaxNew: w.New(), IgnoreEOS: true}
				req.OnToken = func(int, int) error {
					if start[i].IsZero() {
						left()
						first.Wait()
						start[i] = time.Now()
					}
					return nil
				}
				out, err := genie.Generate(ctx, s, m.LM, req)
				if err != nil {
					b.Error(err)
					return
				}
				if _, err := w.Verify(workloads.Output{Tokens: out.Tokens}); err != nil {
					b.Error(err)
				}
			})
		}
		last.Wait()
		decoding += time.Since(start[0])
	}
	after, err := clients[0].Stats(ctx)
	if err != nil {
		b.Fatal(err)
	}
	batch := 1.0
	if rounds := after.Batches - before.Batches; rounds > 0 {
		batch = float64(after.BatchedRuns-before.BatchedRuns) / float64(rounds)
	}
	b.ReportMetric(float64(n*(w.New()-1)*b.N)/decoding.Seconds(), "tok/s")
	b.ReportMetric(batch, "batch")
}
