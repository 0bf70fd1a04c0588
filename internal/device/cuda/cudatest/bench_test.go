package cudatest_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// newTokens is the number of tokens that a decoding benchmark generates.
const newTokens = 50

// vias are the executors that are compared.
var vias = []string{"local", "worker"}

// measured is a checkpoint with an executor of each kind that has its weights.
type measured struct {
	checkpoint
	model   *gpt2.Model
	clients map[string]*genie.Client
}

// BenchmarkGPT2 measures the model of the scale with each type of weights:
// decoding, prefill, and several sessions at once, in-process and through a
// worker. Tokens are verified before they are timed, those of one sequence
// against transformers', those of the worker against those in-process.
func BenchmarkGPT2(b *testing.B) {
	for _, c := range checkpoints(b) {
		x := measured{c, c.load(b), map[string]*genie.Client{"local": inProcess(b, engineOptions(b)), "worker": remote(b)}}
		for _, batch := range []int{1, 8} {
			x.decode(b, batch)
		}
		for _, rows := range c.prefills() {
			x.prefill(b, rows)
		}
		for _, via := range vias {
			x.sessions(b, via)
		}
	}
}

// decode decodes a batch in one session. read-B/s is the bytes of the weights
// that a step reads, once for all sequences, by the time of a step, whose median
// over the generations counts.
func (x *measured) decode(b *testing.B, batch int) {
	req := genie.GenerateRequest{Prompts: x.prompts(b, batch), MaxNew: newTokens, IgnoreEOS: true, IgnoreSettings: true}
	var want [][]int
	for _, via := range vias {
		b.Run(x.name("decode", "genie-"+via, fmt.Sprintf("batch=%d", batch)), func(b *testing.B) {
			s := opened(b, x.clients[via])
			first := generated(b, s, x.model, req)
			if w := x.golden(b, "decode"); w != nil {
				require.NoError(b, w.Follows(first.Tokens[:1], x.tolerance()))
			}
			if want == nil {
				want = first.Tokens
			}
			require.Equal(b, want, first.Tokens, "tokens %s", via)
			var steps []time.Duration
			var last *genie.Generation
			for b.Loop() {
				last = generated(b, s, x.model, req)
				steps = append(steps, sum(last.Steps)/time.Duration(len(last.Steps)))
			}
			b.StopTimer()
			require.Equal(b, want, last.Tokens)
			step := median(steps).Seconds()
			b.ReportMetric(step*1e9, "step-ns")
			b.ReportMetric(float64(batch)/step, "tok/s")
			b.ReportMetric(stepBytes(x.model, x.dtype)/step, "read-B/s")
			if via == "worker" {
				b.ReportMetric(float64(last.Wire.SocketSent+last.Wire.SocketReceived)/float64(newTokens*batch), "wire-B/tok")
				b.ReportMetric(float64(last.Wire.RoundTrips), "rtts/op")
			}
		})
	}
}

func sum(d []time.Duration) (all time.Duration) {
	for _, x := range d {
		all += x
	}
	return all
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// stepBytes is the bytes of weights that a decode step reads: all but the
// positions, of which it reads one row.
func stepBytes(m *gpt2.Model, dtype plan.DType) float64 {
	c := m.Config
	h, inner := float64(c.Hidden), float64(c.Inner)
	layer := h*3*h + 3*h + h*h + h + h*inner + inner + inner*h + h + 4*h
	return float64(dtype.Size()) * (float64(c.Vocab)*h + float64(c.Layers)*layer + 2*h)
}

// prefill computes the first token after a prompt.
func (x *measured) prefill(b *testing.B, rows int) {
	req := genie.GenerateRequest{Prompts: [][]int{x.long(b, rows)}, MaxNew: 1, IgnoreEOS: true, IgnoreSettings: true}
	var want [][]int
	for _, via := range vias {
		b.Run(x.name("prefill", "genie-"+via, fmt.Sprintf("rows=%d", rows)), func(b *testing.B) {
			s := opened(b, x.clients[via])
			first := generated(b, s, x.model, req)
			if w := x.golden(b, "prefill"); w != nil && len(w.Prompts[0]) == rows {
				require.NoError(b, w.Follows(first.Tokens, x.tolerance()))
			}
			if want == nil {
				want = first.Tokens
			}
			require.Equal(b, want, first.Tokens, "tokens %s", via)
			var ttft []time.Duration
			for b.Loop() {
				ttft = append(ttft, generated(b, s, x.model, req).TTFT)
			}
			b.StopTimer()
			d := median(ttft)
			b.ReportMetric(float64(d.Nanoseconds()), "ttft-ns")
			b.ReportMetric(float64(rows)/d.Seconds(), "tok/s")
		})
	}
}

// BenchmarkPrefillProducts measures the products of a prefill by the profile of
// its kernels: FLOP/s is the rate in the products with the matrices of the
// layers. The profile times each kernel.
func BenchmarkPrefillProducts(b *testing.B) {
	for _, c := range checkpoints(b) {
		m := c.load(b)
		o := engineOptions(b)
		o.Profile = true
		client := inProcess(b, o)
		srg, err := semantic.Analyze(m.LM.Graph)
		require.NoError(b, err)
		for _, rows := range c.prefills() {
			b.Run(c.name("prefill-products", "genie-local", fmt.Sprintf("rows=%d", rows)), func(b *testing.B) {
				kernels, err := srg.Kernels(plan.Bindings{"batch": 1, "seq": rows, "past": 0})
				require.NoError(b, err)
				flops := 0.0
				for _, k := range kernels {
					if _, n, ok := weightOf(k.Name); ok && isLayer(m, k.Name, n) {
						flops += k.Cost.FLOPs
					}
				}
				s := opened(b, client)
				req := genie.GenerateRequest{Prompts: [][]int{c.long(b, rows)}, MaxNew: 1, IgnoreEOS: true, IgnoreSettings: true}
				generated(b, s, m, req)
				before := productTime(b, client, m)
				n := 0
				for b.Loop() {
					generated(b, s, m, req)
					n++
				}
				b.StopTimer()
				spent := productTime(b, client, m) - before
				require.Positive(b, spent, "the profile has no products")
				b.ReportMetric(flops*float64(n)/spent.Seconds(), "FLOP/s")
			})
		}
	}
}

// isLayer reports whether a product is one of a layer, not of the head.
func isLayer(m *gpt2.Model, kernel string, n int) bool {
	k, _, _ := weightOf(kernel)
	return k != m.Config.Vocab && n != m.Config.Vocab
}

// productTime is the time that the executor has spent in products of layers.
func productTime(b *testing.B, client *genie.Client, m *gpt2.Model) (d time.Duration) {
	b.Helper()
	st, err := client.Stats(context.Background())
	require.NoError(b, err)
	for name, spent := range st.Kernels {
		if _, n, ok := weightOf(name); ok && isLayer(m, name, n) {
			d += spent
		}
	}
	return d
}

// sessions decodes in one session and in eight at once, which the executor joins
// into dynamic batches. tok/s is the tokens after the first of all, from when all
// have their first token to when all have their last.
func (x *measured) sessions(b *testing.B, via string) {
	client := x.clients[via]
	var want [][]int
	for _, n := range []int{1, 8} {
		b.Run(x.name("sessions", "genie-"+via, fmt.Sprintf("sessions=%d", n)), func(b *testing.B) {
			before, err := client.Stats(context.Background())
			require.NoError(b, err)
			var decoding []time.Duration
			for b.Loop() {
				d, tokens := atOnce(b, client, x.model, x.prompts(b, n))
				if want == nil {
					want = tokens
				}
				require.Equal(b, want[0], tokens[0], "the first session alone and among others")
				decoding = append(decoding, d)
			}
			b.StopTimer()
			after, err := client.Stats(context.Background())
			require.NoError(b, err)
			joined := 1.0
			if rounds := after.Batches - before.Batches; rounds > 0 {
				joined = float64(after.BatchedRuns-before.BatchedRuns) / float64(rounds)
			}
			b.ReportMetric(float64(n*(newTokens-1))/median(decoding).Seconds(), "tok/s")
			b.ReportMetric(joined, "batch")
		})
	}
}

// atOnce generates each prompt in a session of its own, and returns the time
// from when all have their first token.
func atOnce(b *testing.B, client *genie.Client, m *gpt2.Model, prompts [][]int) (time.Duration, [][]int) {
	b.Helper()
	ctx := context.Background()
	var first, last sync.WaitGroup
	first.Add(len(prompts))
	start, tokens, errs := make([]time.Time, len(prompts)), make([][]int, len(prompts)), make([]error, len(prompts))
	for i, prompt := range prompts {
		s, err := client.NewSession(ctx)
		require.NoError(b, err)
		defer s.Close()
		last.Go(func() {
			left := sync.OnceFunc(first.Done)
			defer left()
			out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
				Prompts: [][]int{prompt}, MaxNew: newTokens, IgnoreEOS: true, IgnoreSettings: true,
				OnToken: func(int, int) error {
					if start[i].IsZero() {
						left()
						first.Wait()
						start[i] = time.Now()
					}
					return nil
				},
			})
			if errs[i] = err; err == nil {
				tokens[i] = out.Tokens[0]
			}
		})
	}
	last.Wait()
	end := time.Now()
	for _, err := range errs {
		require.NoError(b, err)
	}
	return end.Sub(slices.MinFunc(start, time.Time.Compare)), tokens
}

// opened is a session that ends with the benchmark.
func opened(b testing.TB, c *genie.Client) *genie.Session {
	b.Helper()
	s, err := c.NewSession(context.Background())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.Close()) })
	return s
}

func generated(b testing.TB, s *genie.Session, m *gpt2.Model, req genie.GenerateRequest) *genie.Generation {
	b.Helper()
	out, err := genie.Generate(context.Background(), s, m.LM, req)
	require.NoError(b, err)
	return out
}
