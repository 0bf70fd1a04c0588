package cudatest_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/bert"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// generation is the tokens of one sequence and the logits of each run, all rows
// of the prompt's.
type generation struct {
	tokens []int
	logits [][]float32
}

// generate generates each prompt in a session of its own, one after the other.
func generate(t *testing.T, c *genie.Client, m *gpt2.Model, prompts [][]int, n int) []generation {
	t.Helper()
	out := make([]generation, len(prompts))
	for i, prompt := range prompts {
		s, err := c.NewSession(t.Context())
		require.NoError(t, err)
		g, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{
			Prompts: [][]int{prompt}, MaxNew: n, IgnoreEOS: true, IgnoreSettings: true,
			OnLogits: func(_ int, l transport.Tensor) error {
				out[i].logits = append(out[i].logits, floatsOf(l.Data))
				return nil
			},
		})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		out[i].tokens = g.Tokens[0]
	}
	return out
}

func floatsOf(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// relative is the largest difference from want, relative to the largest number
// of want.
func relative(t *testing.T, want, got []float32) float64 {
	t.Helper()
	require.Len(t, got, len(want))
	hi, diff := 0.0, 0.0
	for i := range want {
		hi = max(hi, math.Abs(float64(want[i])))
		d := math.Abs(float64(want[i]) - float64(got[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		diff = max(diff, d)
	}
	return diff / hi
}

// tolerances of logits, relative to the largest one, by the type of weights. A
// product with weights of 16 bits rounds its left operand to their type.
var tolerances = map[plan.DType]float64{plan.F32: 1e-4, plan.F16: 5e-3, plan.BF16: 3e-2}

// underRace are the checkpoints that are enough for the race detector, which makes
// the emulator take more than ten times as long. Of these it gets a few tokens.
var underRace = []string{"untied"}

// TestGPT2Goldens compares with what transformers computed for each small
// checkpoint: logits within the tolerance, and for float32 the tokens, which are
// those of the CPU. The bits in-process and on a worker over TCP are the same.
func TestGPT2Goldens(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testdata, "gpt2", "*", "golden.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 8)
	near, far := inProcess(t, engineOptions(t)), remote(t)
	for _, file := range files {
		dir := filepath.Dir(file)
		if raceEnabled && !slices.Contains(underRace, filepath.Base(dir)) {
			continue
		}
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var want struct{ Prompts, Greedy [][]int }
			readJSON(t, file, &want)
			if raceEnabled {
				want.Prompts = want.Prompts[:2]
				for i := range want.Greedy {
					want.Greedy[i] = want.Greedy[i][:4]
				}
			}
			m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{})
			require.NoError(t, err)
			defer m.Close()
			logits, err := safetensors.Open(filepath.Join(dir, "golden.safetensors"))
			require.NoError(t, err)
			defer logits.Close()
			got := generate(t, near, m, want.Prompts, len(want.Greedy[0]))
			worst := 0.0
			for i, prompt := range want.Prompts {
				g := goldenOf(logits, i, want.Greedy[i], m.Config.Vocab)
				forced := generate(t, near, m, [][]int{slices.Concat(prompt, g.tokens[:len(g.tokens)-1])}, 1)[0]
				worst = max(worst, g.prefilled(t, m, forced.logits[0]))
				if m.Config.DType == plan.F32 {
					worst = max(worst, g.generated(t, m, got[i]))
				}
			}
			t.Logf("largest error %.2g of the largest logit", worst)
			require.Equal(t, got, generate(t, far, m, want.Prompts, len(want.Greedy[0])), "in-process and on a worker")
		})
	}
}

// golden is what transformers computed for a prompt: tokens, the logits of the
// prompt [rows, vocab], and those of each step [steps, vocab].
type golden struct {
	tokens         []int
	prefill, steps []float32
}

// goldenOf reads the golden of prompt i, as far as the tokens.
func goldenOf(f *safetensors.File, i int, tokens []int, vocab int) golden {
	pre, _ := f.Tensor(fmt.Sprintf("prefill.%d", i))
	steps, _ := f.Tensor(fmt.Sprintf("step.%d", i))
	return golden{tokens, floatsOf(pre.Data), floatsOf(steps.Data)[:(len(tokens)-1)*vocab]}
}

// generated compares tokens and logits of a generation, and returns the largest
// error.
func (g golden) generated(t *testing.T, m *gpt2.Model, got generation) float64 {
	t.Helper()
	require.Equal(t, g.tokens, got.tokens)
	v, tolerance := m.Config.Vocab, tolerances[m.Config.DType]
	worst := relative(t, g.prefill, got.logits[0])
	for j, row := range got.logits[1:] {
		worst = max(worst, relative(t, g.steps[j*v:(j+1)*v], row))
	}
	require.LessOrEqual(t, worst, tolerance)
	return worst
}

// prefilled compares the logits of a prefill over the prompt and all tokens but
// the last, and returns the largest error. Rounding cannot lead it elsewhere.
func (g golden) prefilled(t *testing.T, m *gpt2.Model, got []float32) float64 {
	t.Helper()
	worst := relative(t, slices.Concat(g.prefill, g.steps), got)
	require.LessOrEqual(t, worst, tolerances[m.Config.DType])
	return worst
}

// TestBERTGolden compares with what transformers computes for each sequence
// alone, here in one padded batch, in-process and on a worker with the same
// bits.
func TestBERTGolden(t *testing.T) {
	var want struct {
		IDs, Types [][]int
		Rows       [][]float32
	}
	dir := filepath.Join(testdata, "bert", "tiny")
	readJSON(t, filepath.Join(dir, "golden.json"), &want)
	m, err := bert.Load(t.Context(), dir, bert.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	feed, err := m.Feed(want.IDs)
	require.NoError(t, err)
	longest := 0
	for _, ids := range want.IDs {
		longest = max(longest, len(ids))
	}
	types := make([]int32, len(want.IDs)*longest)
	for i, row := range want.Types {
		for j, v := range row {
			types[i*longest+j] = int32(v)
		}
	}
	feed["types"] = genie.Int32s(types, len(want.IDs), longest)
	var first []float32
	for _, c := range []*genie.Client{inProcess(t, engineOptions(t)), remote(t)} {
		s := opened(t, c)
		out, err := s.Run(t.Context(), feed, m.Rows, m.Mean)
		require.NoError(t, err)
		rows, err := out[0].Float32s(t.Context())
		require.NoError(t, err)
		mean, err := out[1].Float32s(t.Context())
		require.NoError(t, err)
		for i, row := range want.Rows {
			require.LessOrEqual(t, relative(t, row, rows[i*longest*m.Config.Hidden:][:len(row)]), 1e-4, "sequence %d", i)
		}
		all := slices.Concat(rows, mean)
		if first == nil {
			first = all
		}
		require.Equal(t, first, all, "in-process and on a worker")
	}
}

// TestBERTLikeCPU compares XLM-RoBERTa with the CPU.
func TestBERTLikeCPU(t *testing.T) {
	m, err := bert.Load(t.Context(), filepath.Join(testdata, "bert", "xlm-roberta"), bert.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	sentences := [][]int{{0, 5, 6, 7, 2}, {0, 9, 2}, {0, 11, 12, 13, 14, 15, 16, 2}}
	embed := func(c *genie.Client) []float32 {
		out, err := m.Embed(t.Context(), opened(t, c), sentences)
		require.NoError(t, err)
		return slices.Concat(out...)
	}
	want, got := embed(onCPU(t)), embed(inProcess(t, engineOptions(t)))
	require.LessOrEqual(t, relative(t, want, got), 1e-4)
	require.Equal(t, got, embed(remote(t)), "in-process and on a worker")
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(b, into))
}

// TestReferences compares the model at the scale of the environment with
// transformers' tokens.
func TestReferences(t *testing.T) {
	for _, c := range checkpoints(t) {
		if c.golden(t, "decode") == nil || raceEnabled { // which has enough in the goldens
			continue
		}
		m := c.load(t)
		clients := map[string]*genie.Client{"in-process": inProcess(t, engineOptions(t)), "worker": remote(t)}
		for _, file := range []string{"decode", "prefill"} {
			w := c.golden(t, file)
			for name, client := range clients {
				s, err := client.NewSession(context.Background())
				require.NoError(t, err)
				out := generated(t, s, m, genie.GenerateRequest{Prompts: w.Prompts, MaxNew: w.New(), IgnoreEOS: true, IgnoreSettings: true})
				require.NoError(t, s.Close())
				require.NoError(t, w.Follows(out.Tokens, c.tolerance()), "%s %v %s", file, c.dtype, name)
			}
		}
	}
}
