package tokenizer_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads/tokenizer"
)

// clipGolden is what testdata/scripts/make_clip_tokenizer.py wrote.
type clipGolden struct {
	Size, Length int
	Rows         []struct {
		Text, Decoded string
		IDs           []int `json:"ids"`
		Legacy        []int // of the file as it was before transformers 5
		Fixed, Short  []int
		Mask          int // tokens of Fixed that are not there to fill
		ShortMask     int `json:"short_mask"`
	}
}

func readCLIPGolden(t *testing.T, dir string) clipGolden {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "clip_golden.json"))
	require.NoError(t, err)
	var g clipGolden
	require.NoError(t, json.Unmarshal(content, &g))
	require.NotEmpty(t, g.Rows)
	return g
}

// TestCLIP compares with transformers' CLIPTokenizerFast.
func TestCLIP(t *testing.T) { checkCLIP(t, filepath.Join("testdata", "clip")) }

// publishedEnv names a directory that make_clip_tokenizer.py --published made
// of the published vocabulary, which is not in this repository.
const publishedEnv = "GENIE_CLIP_TOKENIZER"

func TestCLIPPublished(t *testing.T) {
	dir := os.Getenv(publishedEnv)
	if dir == "" {
		t.Skipf("%s is not set; testdata/scripts/make_clip_tokenizer.py --published makes its directory", publishedEnv)
	}
	checkCLIP(t, dir)
	tok, err := tokenizer.Load(dir)
	require.NoError(t, err)
	require.Equal(t, 49408, tok.Size())
	ids, err := tok.Encode("a photo of a cat")
	require.NoError(t, err)
	require.Equal(t, []int{49406, 320, 1125, 539, 320, 2368, 49407}, ids, "as openai/CLIP has it")
}

func checkCLIP(t *testing.T, dir string) {
	t.Helper()
	g := readCLIPGolden(t, dir)
	tok, err := tokenizer.Load(dir)
	require.NoError(t, err)
	assert.Equal(t, g.Size, tok.Size())
	pad, ok := tok.Pad()
	require.True(t, ok)
	eos, ok := tok.EOS()
	require.True(t, ok)
	assert.Equal(t, []int{g.Size - 1, g.Size - 1}, []int{pad, eos})
	old := legacyCLIP(t, dir)
	for _, row := range g.Rows {
		ids, err := tok.Encode(row.Text)
		require.NoError(t, err)
		assert.Equal(t, row.IDs, ids, "ids of %q", row.Text)
		text, err := tok.Decode(row.IDs)
		require.NoError(t, err)
		assert.Equal(t, row.Decoded, text)
		ids, err = old.Encode(row.Text)
		require.NoError(t, err)
		assert.Equal(t, row.Legacy, ids, "ids of %q by the older file", row.Text)
		for _, c := range []struct {
			want     []int
			n, count int
		}{{row.Fixed, g.Length, row.Mask}, {row.Short, 9, row.ShortMask}} {
			ids, mask, err := tok.EncodeFixed(row.Text, c.n)
			require.NoError(t, err)
			assert.Equal(t, c.want, ids, "%d ids of %q", c.n, row.Text)
			require.Len(t, mask, c.n)
			for i, m := range mask {
				assert.Equal(t, i < c.count, m == 1)
			}
		}
	}
}

// legacyCLIP is the tokenizer from a file as it was published before
// transformers 5: no special tokens in the split, and added tokens that are
// looked for after normalisation.
func legacyCLIP(t *testing.T, dir string) *tokenizer.Tokenizer {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	require.NoError(t, err)
	var file map[string]any
	require.NoError(t, json.Unmarshal(content, &file))
	parts := file["pre_tokenizer"].(map[string]any)["pretokenizers"].([]any)
	parts[0].(map[string]any)["pattern"] = map[string]any{"Regex": `'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`}
	delete(parts[1].(map[string]any), "use_regex")
	for _, token := range file["added_tokens"].([]any) {
		token.(map[string]any)["normalized"] = true
	}
	content, err = json.Marshal(file)
	require.NoError(t, err)
	out := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(out, "tokenizer.json"), content, 0o600))
	tok, err := tokenizer.Load(out)
	require.NoError(t, err)
	return tok
}

func TestEncodeFixedRefuses(t *testing.T) {
	tok, err := tokenizer.Load(filepath.Join("testdata", "clip"))
	require.NoError(t, err)
	_, _, err = tok.EncodeFixed("a", 1)
	require.ErrorIs(t, err, tokenizer.ErrUnsupported)
	_, _, err = tok.EncodeFixed("a\xff", 77)
	require.ErrorIs(t, err, tokenizer.ErrInvalidText)
	ids, mask, err := tok.EncodeFixed("a photo", 2)
	require.NoError(t, err)
	assert.Len(t, ids, 2)
	assert.Equal(t, []int{1, 1}, mask)
}
