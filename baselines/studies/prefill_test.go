package studies_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/llm"
)

// The prompts of BenchmarkPrefillBeside: long for the client that prefills,
// short for the sessions that decode.
const (
	longPrompt  = 512
	shortPrompt = 16
)

// BenchmarkPrefillBeside decodes in several sessions of one worker process,
// while another client prefills prompts of 512 tokens without a pause
// (prefills=1) or none does (prefills=0). gap-p50-ns and gap-p99-ns are the
// times between two tokens of a session, ttft-p50-ns is the time from a long
// prompt to its first token; tok/s counts the tokens of the sessions. sessions=0
// is the client alone. The client's work is on the same processors.
func BenchmarkPrefillBeside(b *testing.B) {
	w := workload(b, llm.Decode)
	m := loaded(b, w.ID().Scale)
	name := llm.ModelName(w.ID().Scale)
	worker, err := baselines.StartWorker(context.Background(), "")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = worker.Close() })
	for _, n := range []int{1, 2, 0} {
		for _, prefills := range []int{0, 1} {
			if n == 0 && prefills == 0 {
				continue
			}
			b.Run(benchname.Of("prefill-beside", "tcp", fmt.Sprintf("sessions=%d", n), fmt.Sprintf("prefills=%d", prefills), "model="+name), func(b *testing.B) {
				s := &besides{url: worker.TCP, m: m}
				for b.Loop() {
					s.run(b, n, prefills)
				}
				s.report(b)
			})
		}
	}
}

// besides measures sessions that decode beside a client that prefills.
type besides struct {
	url string
	m   *gpt2.Model

	mu          sync.Mutex
	gaps, first []time.Duration
	decoding    time.Duration
}

// open opens a session of a client of its own.
func (s *besides) open(b *testing.B) *genie.Session {
	b.Helper()
	c, err := genie.Open(context.Background(), s.url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Close() })
	session, err := c.NewSession(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = session.Close() })
	return session
}

// run decodes once in n sessions, or prefills a few times where n is 0.
func (s *besides) run(b *testing.B, n, prefills int) {
	b.Helper()
	var decoding, prefilling, ready sync.WaitGroup
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	begin := make(chan struct{})
	ready.Add(n)
	for i := range n {
		session := s.open(b)
		decoding.Go(func() { s.decode(b, session, i, &ready, begin) })
	}
	ready.Wait()
	for i := range prefills {
		session := s.open(b)
		prefilling.Go(func() { s.prefill(ctx, b, session, i, n == 0) })
	}
	start := time.Now()
	close(begin)
	decoding.Wait()
	s.decoding += time.Since(start)
	if n > 0 {
		stop()
	}
	prefilling.Wait()
}

// decode generates as many tokens as the context takes, and notes the gaps
// between them once all sessions decode.
func (s *besides) decode(b *testing.B, session *genie.Session, seed int, ready *sync.WaitGroup, begin <-chan struct{}) {
	b.Helper()
	left := sync.OnceFunc(ready.Done)
	defer left()
	var last time.Time
	var gaps []time.Duration
	_, err := genie.Generate(context.Background(), session, s.m.LM, genie.GenerateRequest{
		Prompts: [][]int{prompt(shortPrompt, seed)}, MaxNew: s.room(shortPrompt), IgnoreEOS: true,
		OnToken: func(int, int) error {
			if last.IsZero() {
				left()
				<-begin
			} else {
				gaps = append(gaps, time.Since(last))
			}
			last = time.Now()
			return nil
		},
	})
	if err != nil {
		b.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps = append(s.gaps, gaps...)
}

// room is the number of new tokens of a prompt of that length, at most 200.
func (s *besides) room(prompt int) int { return min(200, s.m.LM.Context-prompt) }

// prefill prefills until ctx ends, or eight times.
func (s *besides) prefill(ctx context.Context, b *testing.B, session *genie.Session, seed int, alone bool) {
	b.Helper()
	n := min(longPrompt, s.m.LM.Context-1)
	for i := 0; ctx.Err() == nil && (!alone || i < 8); i++ {
		start := time.Now()
		_, err := genie.Generate(ctx, session, s.m.LM, genie.GenerateRequest{Prompts: [][]int{prompt(n, seed+i)}, MaxNew: 1, IgnoreEOS: true})
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			b.Error(err)
			return
		}
		s.mu.Lock()
		s.first = append(s.first, time.Since(start))
		s.mu.Unlock()
	}
}

// prompt is n tokens of any vocabulary.
func prompt(n, seed int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = (7*i + 13*seed + 5) % 64
	}
	return list
}

func (s *besides) report(b *testing.B) {
	b.Helper()
	if len(s.gaps) > 0 {
		b.ReportMetric(float64(len(s.gaps))/s.decoding.Seconds(), "tok/s")
		b.ReportMetric(float64(quantile(s.gaps, 50)), "gap-p50-ns")
		b.ReportMetric(float64(quantile(s.gaps, 99)), "gap-p99-ns")
	}
	if len(s.first) > 0 {
		b.ReportMetric(float64(quantile(s.first, 50)), "ttft-p50-ns")
	}
}

// quantile is the smallest duration that percent of them do not exceed.
func quantile(list []time.Duration, percent int) time.Duration {
	slices.Sort(list)
	return list[(len(list)-1)*percent/100]
}
