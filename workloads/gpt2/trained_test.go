package gpt2_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// TestTrainedModel goes the whole way with the shipped model: text in, ids,
// tokens on a worker over both transports, text out, as transformers has them.
func TestTrainedModel(t *testing.T) {
	dir := "../../testdata/models/austen"
	b, err := os.ReadFile(filepath.Join(dir, "golden.json"))
	require.NoError(t, err)
	var gold struct {
		Prompts []struct {
			Text    string `json:"text"`
			IDs     []int  `json:"ids"`
			Greedy  []int  `json:"greedy"`
			Decoded string `json:"decoded"`
		} `json:"prompts"`
	}
	require.NoError(t, json.Unmarshal(b, &gold))
	require.NotEmpty(t, gold.Prompts)
	ctx := context.Background()
	m, err := gpt2.Load(ctx, dir, gpt2.LoadOptions{})
	require.NoError(t, err)
	defer m.Close()
	require.NotNil(t, m.Tokenizer)
	n := len(gold.Prompts)
	if testing.Short() {
		n = 2
	}
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		c := open(t, url, semantic.Full())
		for _, p := range gold.Prompts[:n] {
			ids, err := m.Tokenizer.Encode(p.Text)
			require.NoError(t, err)
			require.Equal(t, p.IDs, ids)
			s, err := c.NewSession(ctx)
			require.NoError(t, err)
			out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{ids}, MaxNew: len(p.Greedy), IgnoreEOS: true})
			require.NoError(t, err)
			require.NoError(t, s.Close())
			require.Equal(t, p.Greedy, out.Tokens[0], url)
			text, err := m.Tokenizer.Decode(out.Tokens[0])
			require.NoError(t, err)
			require.Equal(t, p.Decoded, text)
		}
	}
}
