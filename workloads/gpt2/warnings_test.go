package gpt2_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint/checkpointtest"
	"github.com/genie-sdk/go/internal/pyjson"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// TestWarnings verifies what a checkpoint is warned of that can be used though
// it should not be like that, and that others are not.
func TestWarnings(t *testing.T) {
	said := map[string]string{
		"other lm_head": "has another head", "other lm_head, tie absent": "has another head", "layer too many": "first=h.2.attn.c_attn.bias",
		"config with a layer less": "tensors=12", "adapter in a layer": "lora_A", "eos config outside": "outside the vocabulary",
		"eos generation first": "",
	}
	for _, name := range []string{
		"equal lm_head", "other lm_head, untied", "only lm_head", "no prefix", "lm_head.bias", "all aliases", "eos config list", "eos config null",
	} {
		said[name] = ""
	}
	seen := 0
	for _, v := range checkpointtest.Variants(t, "../../testdata", "gpt2") {
		want, ok := said[v.Name]
		if !ok {
			continue
		}
		seen++
		t.Run(v.Name, func(t *testing.T) {
			var log bytes.Buffer
			m, err := gpt2.Load(t.Context(), v.Dir(t, "../../testdata"), gpt2.LoadOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			require.NoError(t, err)
			defer m.Close()
			if want == "" {
				require.Empty(t, log.String())
				return
			}
			require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
			require.Contains(t, log.String(), want)
		})
	}
	require.Equal(t, len(said), seen)
}

// TestSavedModel reads what safetensors.torch.save_model writes of a tied model:
// one of the two names, the other in the metadata. See
// huggingface/transformers#38870, keras-team/keras-hub#3075.
func TestSavedModel(t *testing.T) {
	basic := filepath.Join(goldens, "basic")
	gold := loadGolden(t, basic)
	for name, c := range map[string]struct {
		kept, gone string
		tied       string
	}{
		"head":           {"lm_head.weight", "transformer.wte.weight", "true"},
		"embedding":      {"transformer.wte.weight", "lm_head.weight", "true"},
		"untied by name": {"transformer.wte.weight", "lm_head.weight", "false"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			config := checkpointtest.ReadObject(t, filepath.Join(basic, "config.json"))
			config["tie_word_embeddings"] = []byte(c.tied)
			checkpointtest.WriteObject(t, filepath.Join(dir, "config.json"), config)
			tensors := checkpointtest.ReadTensors(t, filepath.Join(basic, "model.safetensors"))
			table := tensors["transformer.wte.weight"]
			delete(tensors, "transformer.wte.weight")
			tensors[c.kept] = table
			tensors.Write(t, filepath.Join(dir, "model.safetensors"), map[string]string{c.gone: c.kept})
			m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{})
			require.NoError(t, err)
			defer m.Close()
			require.Equal(t, gold.Greedy[:1], greedy(t, m, gold.Prompts[:1], len(gold.Greedy[0])))
		})
	}
}

func greedy(t *testing.T, m *gpt2.Model, prompts [][]int, n int) [][]int {
	t.Helper()
	s, err := open(t, "local:", semantic.Full()).NewSession(t.Context())
	require.NoError(t, err)
	defer s.Close()
	out, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: prompts, MaxNew: n, IgnoreEOS: true})
	require.NoError(t, err)
	return out.Tokens
}

// TestTokenizerOfNoUse loads a model whose tokenizer is unsupported or broken:
// token ids need none, and a request for text gets the reason.
func TestTokenizerOfNoUse(t *testing.T) {
	for text, want := range map[string]string{
		`{"model": {"type": "Unigram", "vocab": [["a", -1]]}}`: "unsupported tokenizer",
		`{`: "bad tokenizer.json",
	} {
		dir := copyModel(t, filepath.Join(goldens, "basic"), func([]byte) {})
		require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(text), 0o600))
		var log bytes.Buffer
		m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		require.NoError(t, err)
		require.Nil(t, m.Tokenizer)
		require.ErrorContains(t, m.TokenizerErr, want)
		require.Contains(t, log.String(), want)
		require.NotEmpty(t, greedy(t, m, [][]int{{1, 2}}, 2))
		require.NoError(t, m.Close())
	}
}

// TestEndedByCaller ends sequences of a batch from the caller's callback, on
// every executor and under every policy alike; the session stays usable.
func TestEndedByCaller(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Full()} {
			s, err := open(t, url, policy).NewSession(ctx)
			require.NoError(t, err)
			for _, limits := range [][]int{{4, 9}, {1, 1}, {2, 100}} {
				n := [2]int{}
				out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
					Prompts: gold.Prompts[:2], MaxNew: 20, IgnoreEOS: true,
					OnToken: func(sequence, _ int) error {
						if n[sequence]++; n[sequence] == limits[sequence] {
							return genie.ErrStop
						}
						return nil
					},
				})
				require.NoError(t, err, "%s %s", url, policy.Name())
				for i, got := range out.Tokens {
					require.Equal(t, gold.Greedy[i][:min(limits[i], 20)], got)
					require.Equal(t, limits[i] < 20, out.Reasons[i] == genie.FinishStop)
				}
			}
			out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: gold.Prompts[:1], MaxNew: 12, IgnoreEOS: true})
			require.NoError(t, err)
			require.Equal(t, gold.Greedy[0][:12], out.Tokens[0])
			require.NoError(t, s.Close())
		}
	}
}

// TestSeveralEnds ends texts at any of the checkpoint's end tokens on every
// executor.
func TestSeveralEnds(t *testing.T) {
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	dir := copyModel(t, filepath.Join(goldens, "basic"), func([]byte) {})
	a, b := gold.Greedy[0][7], gold.Greedy[1][4]
	checkpointtest.WriteObject(t, filepath.Join(dir, "generation_config.json"), pyjson.Object{"eos_token_id": fmt.Appendf(nil, "[127, %d, %d, 99999]", a, b)})
	m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		s, err := open(t, url, semantic.Full()).NewSession(t.Context())
		require.NoError(t, err)
		out, err := genie.Generate(t.Context(), s, m.LM, genie.GenerateRequest{Prompts: gold.Prompts[:2], MaxNew: 30})
		require.NoError(t, err)
		for i, got := range out.Tokens {
			want := gold.Greedy[i]
			for j, id := range want {
				if id == a || id == b || id == 127 {
					want = want[:j+1]
					break
				}
			}
			require.Equal(t, want[:min(30, len(want))], got)
		}
		require.NoError(t, s.Close())
	}
}
