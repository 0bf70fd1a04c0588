package gpt2_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads/gpt2"
)

// TestBadCheckpoint loads directories that are wrong in one way each: a clear
// error that names the file or the tensor.
func TestBadCheckpoint(t *testing.T) {
	good := filepath.Join(goldens, "basic")
	config := func(t *testing.T, dir, from, to string) {
		t.Helper()
		p := filepath.Join(dir, "config.json")
		b, err := os.ReadFile(p)
		require.NoError(t, err)
		require.Contains(t, string(b), from)
		require.NoError(t, os.WriteFile(p, []byte(strings.ReplaceAll(string(b), from, to)), 0o600))
	}
	replace := func(from, to string) func([]byte) {
		return func(file []byte) {
			i := strings.Index(string(file), from)
			require.GreaterOrEqual(t, i, 0)
			copy(file[i:], to)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(file []byte)
		after  func(t *testing.T, dir string)
		want   error
		text   string
	}{
		{"missing tensor", replace(`transformer.h.1.ln_2.bias`, `transformer.h.1.ln_2.bios`), nil, checkpoint.ErrMissingTensor, "h.1.ln_2.bias"},
		{"header longer than the file", func(f []byte) { f[5] = 1 }, nil, safetensors.ErrCorrupt, "model.safetensors"},
		{"offsets outside the file", replace(`"data_offsets":[0,`, `"data_offsets":[9,`), nil, safetensors.ErrCorrupt, "model.safetensors"},
		{"config with more layers", func([]byte) {}, func(t *testing.T, dir string) { config(t, dir, `"n_layer": 2`, `"n_layer": 3`) }, checkpoint.ErrMissingTensor, "h.2."},
		{"config with other width", func([]byte) {}, func(t *testing.T, dir string) { config(t, dir, `"n_embd": 64`, `"n_embd": 32`) }, checkpoint.ErrShape, "wte.weight"},
		{"config with other vocabulary", func([]byte) {}, func(t *testing.T, dir string) { config(t, dir, `"vocab_size": 128`, `"vocab_size": 129`) }, checkpoint.ErrShape, "wte.weight"},
		{"heads that do not divide", func([]byte) {}, func(t *testing.T, dir string) { config(t, dir, `"n_head": 4`, `"n_head": 5`) }, gpt2.ErrConfig, "config.json"},
		{"no config", func([]byte) {}, func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, "config.json"))) }, checkpoint.ErrMissingFile, "config.json"},
		{"no weights", func([]byte) {}, func(t *testing.T, dir string) {
			require.NoError(t, os.Remove(filepath.Join(dir, "model.safetensors")))
		}, checkpoint.ErrMissingFile, "model.safetensors"},
		{"truncated", func([]byte) {}, func(t *testing.T, dir string) {
			p := filepath.Join(dir, "model.safetensors")
			st, err := os.Stat(p)
			require.NoError(t, err)
			require.NoError(t, os.Truncate(p, st.Size()-1))
		}, safetensors.ErrCorrupt, "model.safetensors"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := copyModel(t, good, tc.change)
			if tc.after != nil {
				tc.after(t, dir)
			}
			_, err := gpt2.Load(context.Background(), dir, gpt2.LoadOptions{})
			require.ErrorIs(t, err, tc.want)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

// TestBadRequest makes impossible requests, on every executor: a typed error,
// and the session stays usable.
func TestBadRequest(t *testing.T) {
	m := load(t, "basic")
	ctx := context.Background()
	for _, url := range append([]string{"local:"}, remotes(t)...) {
		s, err := open(t, url, semantic.Full()).NewSession(ctx)
		require.NoError(t, err)
		long := make([]int, m.Config.Positions+1)
		for _, tc := range []struct {
			r    genie.GenerateRequest
			want error
		}{
			{genie.GenerateRequest{Prompts: [][]int{{1, 128}}, MaxNew: 2}, genie.ErrIndexRange},
			{genie.GenerateRequest{Prompts: [][]int{{-1}}, MaxNew: 2}, genie.ErrIndexRange},
			{genie.GenerateRequest{Prompts: [][]int{long}, MaxNew: 2}, genie.ErrContextLength},
			{genie.GenerateRequest{Prompts: [][]int{{}}, MaxNew: 2}, genie.ErrShape},
			{genie.GenerateRequest{MaxNew: 2}, genie.ErrShape},
			{genie.GenerateRequest{Prompts: [][]int{{1}}}, genie.ErrShape},
			{genie.GenerateRequest{Prompts: [][]int{{1}}, MaxNew: 1, Seeds: []int64{1, 2}}, genie.ErrShape},
		} {
			_, err := genie.Generate(ctx, s, m.LM, tc.r)
			require.ErrorIs(t, err, tc.want, url)
		}
		// The last token that fits: a prompt that fills the context gives one.
		out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{Prompts: [][]int{long[1:]}, MaxNew: 9, IgnoreEOS: true})
		require.NoError(t, err)
		require.Len(t, out.Tokens[0], 1)
		require.Equal(t, genie.FinishContext, out.Reasons[0])
		require.NoError(t, s.Close())
	}
}

// TestStopTokens ends a sequence of a batch early; the others continue as
// before.
func TestStopTokens(t *testing.T) {
	m := load(t, "basic")
	gold := loadGolden(t, filepath.Join(goldens, "basic"))
	ctx := context.Background()
	s, err := open(t, "local:", semantic.Full()).NewSession(ctx)
	require.NoError(t, err)
	defer s.Close()
	stop := gold.Greedy[0][3]
	out, err := genie.Generate(ctx, s, m.LM, genie.GenerateRequest{
		Prompts: gold.Prompts, MaxNew: 30, IgnoreEOS: true, Stop: []int{stop},
	})
	require.NoError(t, err)
	for i, got := range out.Tokens {
		want := gold.Greedy[i][:30]
		for j, tok := range want {
			if tok == stop {
				want = want[:j+1]
				require.Equal(t, genie.FinishStop, out.Reasons[i])
				break
			}
		}
		require.Equal(t, want, got, "sequence %d", i)
	}
	require.Less(t, len(out.Tokens[0]), 5)
}
