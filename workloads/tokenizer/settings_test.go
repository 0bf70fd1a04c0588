package tokenizer_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads/tokenizer"
)

// TestSettings compares with what transformers' AutoTokenizer makes of files
// beside tokenizer.json, and of spellings of its split
// (testdata/scripts/make_tokenizer_settings.py). Reports of the kind:
// microsoft/onnxruntime-extensions#890, huggingface/tokenizers#1422.
func TestSettings(t *testing.T) {
	content, err := os.ReadFile("testdata/beside/goldens.json")
	require.NoError(t, err)
	var file struct {
		Texts []string
		Rows  []struct {
			Edit     map[string]json.RawMessage
			Files    map[string]string
			IDs      [][]int
			Decoded  []string
			EOS, Pad *int
		}
	}
	require.NoError(t, json.Unmarshal(content, &file))
	require.Greater(t, len(file.Rows), 100)
	for i, row := range file.Rows {
		edit, err := json.Marshal(row.Edit)
		require.NoError(t, err)
		t.Run(fmt.Sprintf("%d %.80s %v", i, edit, row.Files), func(t *testing.T) {
			tok, err := tokenizer.Load(edited(t, row.Edit, row.Files))
			require.NoError(t, err)
			for j, text := range file.Texts {
				ids, err := tok.Encode(text)
				require.NoError(t, err)
				require.Equal(t, row.IDs[j], ids, text)
				decoded, err := tok.Decode(ids)
				require.NoError(t, err)
				require.Equal(t, row.Decoded[j], decoded)
			}
			if row.EOS != nil {
				id, ok := tok.EOS()
				require.True(t, ok)
				require.Equal(t, *row.EOS, id)
			}
			if row.Pad != nil {
				id, ok := tok.Pad()
				require.True(t, ok)
				require.Equal(t, *row.Pad, id)
			}
		})
	}
}

// edited writes testdata/plain/tokenizer.json with keys changed, and files
// beside it, into a folder of its own.
func edited(t *testing.T, edit map[string]json.RawMessage, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	content, err := os.ReadFile("testdata/plain/tokenizer.json")
	require.NoError(t, err)
	var plain map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(content, &plain))
	maps.Copy(plain, edit)
	content, err = json.Marshal(plain)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), content, 0o600))
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// TestBadSettings names the file and the key that transformers raises on too.
func TestBadSettings(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"tokenizer_config.json", `{`, "tokenizer_config.json"},
		{"tokenizer_config.json", `[]`, "tokenizer_config.json"},
		{"tokenizer_config.json", `{"tokenizer_class": 3}`, "tokenizer_class"},
		{"tokenizer_config.json", `{"tokenizer_class": "GPT2Tokenizer", "add_prefix_space": "yes"}`, "add_prefix_space"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"7": "<new>"}}`, "added_tokens_decoder"},
		{"tokenizer_config.json", `{"added_tokens_decoder": {"x": {"content": "<new>"}}}`, "added_tokens_decoder"},
		{"tokenizer_config.json", `{"added_tokens_decoder": [1]}`, "added_tokens_decoder"},
		{"added_tokens.json", `{"<new>": "7"}`, "added_tokens.json"},
		{"special_tokens_map.json", `3`, "special_tokens_map.json"},
	} {
		_, err := tokenizer.Load(edited(t, nil, map[string]string{c.file: c.text}))
		require.ErrorIs(t, err, tokenizer.ErrBadTokenizer, c.text)
		require.ErrorContains(t, err, c.want)
	}
	// A model's config.json that cannot be read is the model's affair.
	_, err := tokenizer.Load(edited(t, nil, map[string]string{"config.json": "{"}))
	require.NoError(t, err)
}
