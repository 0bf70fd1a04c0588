package gpt2_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// golden is what transformers computed, see testdata/scripts.
type golden struct {
	Prompts [][]int `json:"prompts"`
	Greedy  [][]int `json:"greedy"`
	logits  *safetensors.File
}

const goldens = "../../testdata/gpt2"

func loadGolden(t *testing.T, dir string) *golden {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	require.NoError(t, err)
	g := &golden{}
	require.NoError(t, json.Unmarshal(b, g))
	g.logits, err = safetensors.Open(filepath.Join(dir, "golden.safetensors"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = g.logits.Close() })
	return g
}

func floatsOf(b []byte) []float32 {
	out := make([]float32, len(b)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
	}
	return out
}

// requireClose checks the project's tolerance: max abs error at most 1e-4 of
// the largest logit.
func requireClose(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	var hi, diff float64
	for i := range want {
		hi = math.Max(hi, math.Abs(float64(want[i])))
		d := math.Abs(float64(want[i]) - float64(got[i]))
		if math.IsNaN(d) {
			d = math.Inf(1)
		}
		diff = math.Max(diff, d)
	}
	require.LessOrEqual(t, diff, 1e-4*hi, what)
}

func cases(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(goldens, "*", "golden.json"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 8)
	for i, f := range files {
		files[i] = filepath.Base(filepath.Dir(f))
	}
	return files
}

// generate runs one prompt and collects the logits of each run.
func generate(t *testing.T, c *genie.Client, m *gpt2.Model, prompts [][]int, n int) (tokens [][]int, logits [][]float32) {
	t.Helper()
	ctx := context.Background()
	s, err := c.NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
		Prompts: prompts, MaxNew: n, IgnoreEOS: true,
		OnLogits: func(_ int, l transport.Tensor) error {
			logits = append(logits, floatsOf(l.Data))
			return nil
		},
	})
	require.NoError(t, err)
	return out.Tokens, logits
}

func TestGoldens(t *testing.T) {
	for _, name := range cases(t) {
		for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
			t.Run(name+"/"+policy.Name(), func(t *testing.T) {
				dir := filepath.Join(goldens, name)
				gold := loadGolden(t, dir)
				ctx := context.Background()
				m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
				require.NoError(t, err)
				defer m.Close()
				c, err := genie.Open(ctx, "local:", genie.WithPolicy(policy))
				require.NoError(t, err)
				defer c.Close()
				for i, prompt := range gold.Prompts {
					tokens, logits := generate(t, c, m, [][]int{prompt}, len(gold.Greedy[i]))
					require.Equal(t, gold.Greedy[i], tokens[0])
					pre, _ := gold.logits.Tensor(fmt.Sprintf("prefill.%d", i))
					requireClose(t, floatsOf(pre.Data), logits[0], "prefill")
					steps, _ := gold.logits.Tensor(fmt.Sprintf("step.%d", i))
					want := floatsOf(steps.Data)
					v := m.Config.Vocab
					for j, got := range logits[1:] {
						requireClose(t, want[j*v:(j+1)*v], got, fmt.Sprint("step ", j))
					}
				}
			})
		}
	}
}
