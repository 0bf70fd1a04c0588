package gpt2_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/gpt2"
)

func load(t *testing.T, name string) *gpt2.Model {
	t.Helper()
	m, err := gpt2.Load(context.Background(), filepath.Join(goldens, name), gpt2.LoadOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// remotes starts a worker and gives its addresses.
func remotes(t *testing.T) []string {
	t.Helper()
	w := workertest.Start(t, nil)
	return []string{"tcp://" + w.TCP, "grpc://" + w.GRPC}
}

func open(t *testing.T, url string, p semantic.Policy) *genie.Client {
	t.Helper()
	c, err := genie.Open(context.Background(), url, genie.WithPolicy(p))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

// lastRow is the last row of the first sequence of logits [1, rows, vocab].
func lastRow(logits []float32, vocab int) []float32 { return logits[len(logits)-vocab:] }

// TestSameBits holds the central promise: the same program has the same bits
// on every executor and under every policy.
func TestSameBits(t *testing.T) {
	m := load(t, "odd")
	gold := loadGolden(t, filepath.Join(goldens, "odd"))
	urls := append([]string{"local:"}, remotes(t)...)
	for i, prompt := range gold.Prompts {
		var tokens [][]int
		var logits [][]float32
		for _, url := range urls {
			for _, p := range []semantic.Policy{semantic.Full(), semantic.Resident(), semantic.Blind()} {
				gotTokens, gotLogits := generate(t, open(t, url, p), m, [][]int{prompt}, 12)
				if tokens == nil {
					tokens, logits = gotTokens, gotLogits
					continue
				}
				require.Equal(t, tokens, gotTokens, "%s %s prompt %d", url, p.Name(), i)
				require.Equal(t, logits, gotLogits, "%s %s prompt %d", url, p.Name(), i)
			}
		}
	}
}

// TestPrunedBits compares a run that computes only what is read with one that
// computes everything.
func TestPrunedBits(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	s, err := open(t, "local:", semantic.Full()).NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	g := m.LM.Graph
	feed := func(ids []int) genie.Feed {
		tok, pos := make([]int32, len(ids)), make([]int32, len(ids))
		for i, id := range ids {
			tok[i], pos[i] = int32(id), int32(i)
		}
		return genie.Feed{
			"tokens": genie.Int32s(tok, 1, len(ids)), "positions": genie.Int32s(pos, 1, len(ids)), "start": genie.Int32s([]int32{0}, 1),
			"sampling.temperature": genie.Float32s([]float32{0}, 1), "sampling.top_p": genie.Float32s([]float32{1}, 1),
			"sampling.top_k": genie.Int32s([]int32{0}, 1), "sampling.seed": genie.Int64s([]int64{0}, 1),
		}
	}
	last := m.LM.Next.In()[0] // the row that the sampler reads
	require.Equal(t, g, last.Graph())
	for _, ids := range gold.Prompts {
		require.NoError(t, s.Reset(ctx))
		pruned, err := s.Run(ctx, feed(ids), last)
		require.NoError(t, err)
		require.NoError(t, s.Reset(ctx))
		whole, err := s.Run(ctx, feed(ids), m.LM.Logits)
		require.NoError(t, err)
		a, err := pruned[0].Float32s(ctx)
		require.NoError(t, err)
		b, err := whole[0].Float32s(ctx)
		require.NoError(t, err)
		require.Equal(t, lastRow(b, m.Config.Vocab), a)
	}
}

// TestPrefillOrStep feeds a prompt at once, token by token, and in two parts.
func TestPrefillOrStep(t *testing.T) {
	m := load(t, "odd")
	gold := loadGolden(t, filepath.Join(goldens, "odd"))
	ids := gold.Prompts[len(gold.Prompts)-1]
	c := open(t, "local:", semantic.Full())
	whole, logits := generate(t, c, m, [][]int{ids}, 8)
	ctx := context.Background()
	for _, cut := range []int{1, len(ids) / 2} {
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		var got []float32
		for at := 0; at < len(ids); at += cut {
			part := ids[at:min(at+cut, len(ids))]
			tok, pos := make([]int32, len(part)), make([]int32, len(part))
			for i, id := range part {
				tok[i], pos[i] = int32(id), int32(at+i)
			}
			out, err := s.Run(ctx, genie.Feed{
				"tokens": genie.Int32s(tok, 1, len(part)), "positions": genie.Int32s(pos, 1, len(part)), "start": genie.Int32s([]int32{0}, 1),
			}, m.LM.Logits)
			require.NoError(t, err)
			f, err := out[0].Float32s(ctx)
			require.NoError(t, err)
			got = append(got, f...)
		}
		require.Equal(t, logits[0], got, "in parts of %d", cut)
		require.NoError(t, s.Close())
	}
	require.NotEmpty(t, whole)
}

// TestBatch runs prompts of different lengths together: each sequence has the
// bits that it has alone, sampled ones the same tokens.
func TestBatch(t *testing.T) {
	for _, name := range []string{"basic", "odd", "bf16"} {
		t.Run(name, func(t *testing.T) {
			m := load(t, name)
			gold := loadGolden(t, filepath.Join(goldens, name))
			c := open(t, "local:", semantic.Full())
			batch := append(append([][]int(nil), gold.Prompts...), gold.Prompts[0])
			together, logits := generate(t, c, m, batch, 20)
			rows := len(logits[0]) / len(batch) / m.Config.Vocab
			for i, p := range batch {
				alone, own := generate(t, c, m, [][]int{p}, 20)
				require.Equal(t, alone[0], together[i], "sequence %d", i)
				v := m.Config.Vocab
				require.Equal(t, own[0], logits[0][((i+1)*rows-len(p))*v:(i+1)*rows*v], "prefill of sequence %d", i)
				for j := 1; j < len(own); j++ {
					require.Equal(t, own[j], logits[j][i*v:(i+1)*v], "step %d of sequence %d", j, i)
				}
			}
			sampled := func(prompts [][]int, seeds []int64) [][]int {
				ctx := context.Background()
				s, err := c.NewSession(ctx)
				require.NoError(t, err)
				defer s.Close()
				out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
					Prompts: prompts, MaxNew: 15, IgnoreEOS: true, Temperature: 0.9, TopK: 30, TopP: 0.95, Seeds: seeds,
				})
				require.NoError(t, err)
				return out.Tokens
			}
			seeds := []int64{3, 5, 7, 9}
			all := sampled(batch, seeds)
			for i := range batch {
				require.Equal(t, sampled(batch[i:i+1], seeds[i:i+1])[0], all[i], "sampled sequence %d", i)
			}
		})
	}
}

// TestSamplingSide samples with a temperature: on the client under blind and
// resident, on the worker under full, and the tokens agree.
func TestSamplingSide(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	var want *genie.Generation
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		for _, p := range []semantic.Policy{semantic.Full(), semantic.Resident(), semantic.Blind()} {
			s, err := open(t, url, p).NewSession(ctx)
			require.NoError(t, err)
			out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
				Prompts: gold.Prompts[1:2], MaxNew: 30, IgnoreEOS: true, Temperature: 1.2, TopK: 50, TopP: 0.9, Seed: 42,
			})
			require.NoError(t, err)
			require.NoError(t, s.Close())
			if want == nil {
				want = out
			}
			require.Equal(t, want.Tokens, out.Tokens, "%s %s", url, p.Name())
		}
	}
	require.NotEqual(t, gold.Greedy[1][:30], want.Tokens[0])
}

// TestOneWeight changes one weight and sees the goldens fail.
func TestOneWeight(t *testing.T) {
	dir := copyModel(t, filepath.Join(goldens, "basic"), func(file []byte) { file[len(file)-4*1000+3] ^= 0x40 })
	m, err := gpt2.Load(context.Background(), dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		_, logits := generate(t, open(t, url, semantic.Full()), m, gold.Prompts[2:3], 3)
		pre, _ := gold.logits.Tensor("prefill.2")
		want := floatsOf(pre.Data)
		worst := 0.0
		for i := range want {
			d := float64(want[i] - logits[0][i])
			worst = max(worst, d, -d)
		}
		require.Greater(t, worst, 1e-3, "one weight changed and nothing was noticed on %s", url)
	}
}

// TestWireBytes checks the byte budget of a generation in a session that has
// generated before, prompt included: at most 64 bytes per token each way and
// one round trip.
func TestWireBytes(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	for _, url := range remotes(t) {
		c := open(t, url, semantic.Full())
		s, err := c.NewSession(ctx)
		require.NoError(t, err)
		const n = 40
		var d transport.Snapshot
		for range 2 {
			g, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: gold.Prompts[:1], MaxNew: n, IgnoreEOS: true})
			require.NoError(t, err)
			d = g.Wire
		}
		require.LessOrEqual(t, d.SocketSent, int64(64*n), url)
		require.LessOrEqual(t, d.SocketReceived, int64(64*n), url)
		require.EqualValues(t, 1, d.RoundTrips, url)
		// gRPC writes its window updates when it likes: the two counts agree
		// when nothing is in flight.
		require.Eventually(t, func() bool {
			l := c.Ledger()
			return l.Sent.Total() == l.SocketSent && l.Received.Total() == l.SocketReceived
		}, 5*time.Second, time.Millisecond, url)
		require.NotZero(t, d.Sent[plan.CauseToken], url)
		require.EqualValues(t, 8*n, d.Received[plan.CauseToken], url)
		require.NoError(t, s.Close())
		t.Logf("%s: %d B sent, %d B received a token", url, d.SocketSent/n, d.SocketReceived/n)
	}
}
