package cudatest_test

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// sequence is a prompt and the last row of logits of each run.
type sequence struct {
	tokens []int
	rows   [][]float32
}

// run generates n tokens for several prompts in one batch.
func run(t *testing.T, c *genie.Client, m *gpt2.Model, prompts [][]int, n int) []sequence {
	t.Helper()
	s, err := c.NewSession(t.Context())
	require.NoError(t, err)
	out := make([]sequence, len(prompts))
	g, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{
		Prompts: prompts, MaxNew: n, IgnoreEOS: true, IgnoreSettings: true,
		OnLogits: func(_ int, l transport.Tensor) error {
			all, seq, vocab := floatsOf(l.Data), l.Shape[1], l.Shape[2]
			for i := range out {
				out[i].rows = append(out[i].rows, slices.Clone(all[((i+1)*seq-1)*vocab:][:vocab]))
			}
			return nil
		},
	})
	require.NoError(t, err)
	require.NoError(t, s.Close())
	for i := range out {
		out[i].tokens = g.Tokens[i]
	}
	return out
}

// TestBits checks that the logits of a sequence have the same bits however they
// come to be computed: alone or in a batch, with others of the same or another
// length, alone or in a dynamic batch with other sessions, by steps or in a
// prefill, in-process or on a worker.
func TestBits(t *testing.T) {
	for _, c := range checkpoints(t) {
		if raceEnabled && c.dtype != plan.F32 {
			continue
		}
		t.Run(c.dtype.String(), func(t *testing.T) {
			m, near, far := c.load(t), inProcess(t, engineOptions(t)), remote(t)
			n, sequences := 16, 8
			if c.scale == workloads.Tiny {
				n, sequences = 6, 4
			}
			if raceEnabled {
				n, sequences = 3, 2
			}
			prompts := c.prompts(t, sequences)
			if raceEnabled {
				for i := range prompts {
					prompts[i] = prompts[i][:10]
				}
			}
			want := make([]sequence, len(prompts))
			for i, prompt := range prompts {
				want[i] = run(t, near, m, [][]int{prompt}, n)[0]
			}
			same := func(what string, got []sequence) {
				t.Helper()
				for i := range got {
					require.Equal(t, want[i].tokens, got[i].tokens, "%s: tokens of sequence %d", what, i)
					for j := range got[i].rows {
						require.Equal(t, bitsOf(want[i].rows[j]), bitsOf(got[i].rows[j]), "%s: sequence %d, run %d", what, i, j)
					}
				}
			}
			same("a batch", run(t, near, m, prompts, n))
			same("a batch on a worker", run(t, far, m, prompts, n))
			same("alone on a worker", run(t, far, m, prompts[:1], n))
			same("sessions at once", sessionsAtOnce(t, near, m, prompts, n))
			same("sessions at once on a worker", sessionsAtOnce(t, far, m, prompts, n))
			shorter := slices.Clone(prompts)
			for i := range shorter[1:] {
				shorter[i+1] = shorter[i+1][:len(shorter[i+1])-7*(i+1)]
			}
			same("a batch of other lengths", run(t, near, m, shorter, n)[:1])
			for j := 1; j < n; j += 2 {
				long := slices.Concat(prompts[0], want[0].tokens[:j])
				got := run(t, near, m, [][]int{long}, 1)
				require.Equal(t, bitsOf(want[0].rows[j]), bitsOf(got[0].rows[0]), "a prefill of %d tokens more", j)
			}
		})
	}
}

// sessionsAtOnce generates each prompt in a session of its own, all at once.
func sessionsAtOnce(t *testing.T, c *genie.Client, m *gpt2.Model, prompts [][]int, n int) []sequence {
	t.Helper()
	out := make([]sequence, len(prompts))
	var all sync.WaitGroup
	for i := range prompts {
		all.Go(func() { out[i] = run(t, c, m, prompts[i:i+1], n)[0] })
	}
	all.Wait()
	return out
}

// bitsOf is the bits of each number, so that zeros of either sign differ.
func bitsOf(row []float32) []uint32 {
	out := make([]uint32, len(row))
	for i, v := range row {
		out[i] = math.Float32bits(v)
	}
	return out
}
