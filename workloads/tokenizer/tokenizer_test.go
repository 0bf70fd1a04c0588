package tokenizer_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

// golden is one row of tokenizer_golden.json, made by Hugging Face's
// tokenizers. A row without text only decodes.
type golden struct {
	Text    *string `json:"text"`
	IDs     []int   `json:"ids"`
	Decoded string  `json:"decoded"`
}

// readGolden reads a list of rows, bare or as "strings" of an object.
func readGolden(t *testing.T, path string) []golden {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var rows []golden
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte("[")) {
		require.NoError(t, json.Unmarshal(content, &rows))
	} else {
		var file struct {
			Strings []golden `json:"strings"`
		}
		require.NoError(t, json.Unmarshal(content, &file))
		rows = file.Strings
	}
	require.NotEmpty(t, rows, "%s has no rows", path)
	return rows
}

func TestGoldens(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("testdata", "*", "tokenizer_golden.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	models, err := filepath.Glob(filepath.Join("..", "..", "testdata", "models", "*", "tokenizer_golden.json"))
	require.NoError(t, err)
	for _, path := range append(paths, models...) {
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			tok, err := tokenizer.Load(filepath.Dir(path))
			require.NoError(t, err)
			for _, row := range readGolden(t, path) {
				checkRow(t, tok, row)
			}
		})
	}
}

func checkRow(t *testing.T, tok *tokenizer.Tokenizer, row golden) {
	t.Helper()
	if row.Text != nil {
		ids, err := tok.Encode(*row.Text)
		require.NoError(t, err)
		assert.Equal(t, append([]int{}, row.IDs...), append([]int{}, ids...), "ids of %q", *row.Text)
	}
	decoded, err := tok.Decode(row.IDs)
	require.NoError(t, err)
	assert.Equal(t, row.Decoded, decoded, "text of %v", row.IDs)
	stream := tok.Stream()
	var out strings.Builder
	for _, id := range row.IDs {
		text, err := stream.Next(id)
		require.NoError(t, err)
		assert.True(t, utf8.ValidString(text))
		out.WriteString(text)
	}
	out.WriteString(stream.Flush())
	assert.Equal(t, row.Decoded, out.String(), "stream of %v", row.IDs)
	assert.Empty(t, stream.Flush())
}

func load(t *testing.T, name string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.Load(filepath.Join("testdata", name))
	require.NoError(t, err)
	return tok
}

func TestStreamHoldsHalfCharacters(t *testing.T) {
	tok := load(t, "plain")
	ids, err := tok.Encode("\U0010ffff")
	require.NoError(t, err)
	require.Len(t, ids, 4, "a character that no merge covers is four tokens")
	s := tok.Stream()
	for _, id := range ids[:3] {
		text, err := s.Next(id)
		require.NoError(t, err)
		assert.Empty(t, text)
	}
	_, err = s.Next(1 << 30)
	require.ErrorIs(t, err, tokenizer.ErrUnknownToken)
	text, err := s.Next(ids[3])
	require.NoError(t, err)
	assert.Equal(t, "\U0010ffff", text)
	_, err = s.Next(ids[0])
	require.NoError(t, err)
	assert.Equal(t, "\ufffd", s.Flush())
}

func TestErrors(t *testing.T) {
	tok := load(t, "plain")
	_, err := tok.Encode("a\xff")
	require.ErrorIs(t, err, tokenizer.ErrInvalidText)
	for _, id := range []int{-1, 1 << 30} {
		_, err = tok.Decode([]int{id})
		require.ErrorIs(t, err, tokenizer.ErrUnknownToken)
	}
	_, err = tokenizer.Load(t.TempDir())
	require.ErrorIs(t, err, tokenizer.ErrNoTokenizer)
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "tokenizer.json"), 0o700))
	_, err = tokenizer.Load(dir)
	require.ErrorIs(t, err, tokenizer.ErrBadTokenizer)
}

// A word of many bytes must not take time quadratic in its length.
func TestLongWord(t *testing.T) {
	tok := load(t, "plain")
	text := strings.Repeat("thequickbrownfox", 1<<14)
	ids, err := tok.Encode(text)
	require.NoError(t, err)
	back, err := tok.Decode(ids)
	require.NoError(t, err)
	assert.Equal(t, text, back)
}

func TestConcurrentUse(t *testing.T) {
	tok := load(t, "nfc")
	want, err := tok.Encode("they'll say cafe\u0301")
	require.NoError(t, err)
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 50 {
				got, err := tok.Encode("they'll say cafe\u0301")
				if assert.NoError(t, err) {
					assert.Equal(t, want, got)
				}
			}
		})
	}
	group.Wait()
}

func BenchmarkEncode(b *testing.B) {
	tok, err := tokenizer.Load(filepath.Join("testdata", "plain"))
	require.NoError(b, err)
	text := strings.Repeat("It was the best of times, it was the worst of times. ", 20)
	b.Run(benchname.Of("tokenize", "genie"), func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := tok.Encode(text); err != nil {
				b.Fatal(err)
			}
		}
	})
}
