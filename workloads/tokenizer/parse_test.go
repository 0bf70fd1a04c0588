package tokenizer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// smallFile is a tokenizer.json with three tokens.
func smallFile() map[string]any {
	return map[string]any{
		"added_tokens":  []any{map[string]any{"id": 3, "content": "<|endoftext|>", "special": true}},
		"pre_tokenizer": map[string]any{"type": "ByteLevel", "add_prefix_space": false},
		"decoder":       map[string]any{"type": "ByteLevel"},
		"model": map[string]any{
			"type": "BPE", "vocab": map[string]any{"a": 0, "b": 1, "ab": 2}, "merges": []any{"a b"},
		},
	}
}

func edit(path ...any) func(file map[string]any) {
	return func(file map[string]any) {
		for _, key := range path[:len(path)-2] {
			file = file[key.(string)].(map[string]any)
		}
		file[path[len(path)-2].(string)] = path[len(path)-1]
	}
}

func TestParse(t *testing.T) {
	object := func(fields ...any) map[string]any {
		o := map[string]any{}
		for i := 0; i < len(fields); i += 2 {
			o[fields[i].(string)] = fields[i+1]
		}
		return o
	}
	cases := []struct {
		name     string
		edit     func(file map[string]any)
		sentinel error
		text     string
	}{
		{"as it is", func(map[string]any) {}, nil, ""},
		{"NFC", edit("normalizer", object("type", "NFC")), nil, ""},
		{"Unigram", edit("model", "type", "Unigram"), ErrUnsupported, "Unigram"},
		{"WordPiece", edit("model", "type", "WordPiece"), ErrUnsupported, "WordPiece"},
		{"dropout", edit("model", "dropout", 0.1), ErrUnsupported, "dropout"},
		{"word suffix", edit("model", "end_of_word_suffix", "</w>"), ErrUnsupported, "suffix"},
		{"byte fallback", edit("model", "byte_fallback", true), ErrUnsupported, "byte_fallback"},
		{"no pre_tokenizer", edit("pre_tokenizer", nil), ErrUnsupported, "pre_tokenizer"},
		{"Whitespace", edit("pre_tokenizer", "type", "Whitespace"), ErrUnsupported, "pre_tokenizer"},
		{"other split", edit("pre_tokenizer", object("type", "Whitespace")), ErrUnsupported, "split"},
		{"lower case without CLIP's split", edit("normalizer", object("type", "Lowercase")), ErrUnsupported, "Lowercase"},
		{"a split before ByteLevel", edit("pre_tokenizer", object("type", "Sequence", "pretokenizers", []any{
			object("type", "Split", "pattern", object("Regex", `\s+`), "behavior", "Removed", "invert", true), object("type", "ByteLevel"),
		})), ErrUnsupported, "CLIP's split"},
		{"CLIP's split the other way round", edit("pre_tokenizer", object("type", "Sequence", "pretokenizers", []any{
			object("type", "Split", "pattern", object("Regex", clipPattern), "behavior", "Removed"), object("type", "ByteLevel"),
		})), ErrUnsupported, "CLIP's split"},
		{"BertProcessing without tokens", edit("post_processor", object("type", "BertProcessing")), ErrBadTokenizer, "BertProcessing"},
		{"RobertaProcessing of a broken token", edit("post_processor", object("type", "RobertaProcessing", "sep", []any{1, 2})), ErrBadTokenizer, ""},
		{"RobertaProcessing of an unknown token", edit("post_processor", object("type", "RobertaProcessing",
			"sep", []any{"b", 1}, "cls", []any{"x", 77})), ErrBadTokenizer, "77"},
		{"no decoder", edit("decoder", nil), ErrUnsupported, "decoder"},
		{"normalizer", edit("normalizer", object("type", "Sequence", "normalizers", []any{object("type", "Prepend")})), ErrUnsupported, "Prepend"},
		{"post_processor", edit("post_processor", object("type", "SomeProcessing")), ErrUnsupported, "SomeProcessing"},
		{"template without text", edit("post_processor", object("type", "TemplateProcessing")), ErrUnsupported, "0 sequences"},
		{"template with an unknown id", edit("post_processor", object("type", "TemplateProcessing",
			"single", []any{object("SpecialToken", object("id", "x")), object("Sequence", object("id", "A"))},
			"special_tokens", object("x", object("id", "x", "ids", []any{77})))), ErrBadTokenizer, "77"},
		{"merge of unknown tokens", edit("model", "merges", []any{"a c"}), ErrBadTokenizer, "a c"},
		{"merge without a space", edit("model", "merges", []any{"ab"}), ErrBadTokenizer, "merge 0"},
		{"merge of three", edit("model", "merges", []any{[]any{"a", "b", "a"}}), ErrBadTokenizer, "merge 0"},
		{"unknown unk_token", edit("model", "unk_token", "<unk>"), ErrBadTokenizer, "<unk>"},
		{"negative id", edit("model", "vocab", object("a", -1, "b", 1, "ab", 2)), ErrBadTokenizer, "-1"},
		{"huge id", edit("model", "vocab", object("a", 1<<28, "b", 1, "ab", 2)), ErrBadTokenizer, "268435456"},
		{"one id twice", edit("model", "vocab", object("a", 1, "b", 1, "ab", 2)), ErrBadTokenizer, "two tokens"},
		{"vocab of another type", edit("model", "vocab", "x"), ErrBadTokenizer, "merge 0"},
		{"model of another type", edit("model", 3), ErrBadTokenizer, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file := smallFile()
			c.edit(file)
			content, err := json.Marshal(file)
			require.NoError(t, err)
			tok, err := parse(content, &settings{})
			if c.sentinel == nil {
				require.NoError(t, err)
				ids, err := tok.Encode("aba<|endoftext|>zb")
				require.NoError(t, err)
				assert.Equal(t, []int{2, 0, 3, 1}, ids, "a byte that the vocabulary lacks is left out")
				return
			}
			require.ErrorIs(t, err, c.sentinel)
			require.ErrorContains(t, err, c.text)
		})
	}
}

func TestUnknownToken(t *testing.T) {
	for _, c := range []struct {
		fuse bool
		want []int
	}{{false, []int{0, 1, 1, 0}}, {true, []int{0, 1, 0}}} {
		file := smallFile()
		edit("model", "unk_token", "b")(file)
		edit("model", "fuse_unk", c.fuse)(file)
		edit("model", "merges", []any{})(file)
		content, err := json.Marshal(file)
		require.NoError(t, err)
		tok, err := parse(content, &settings{})
		require.NoError(t, err)
		ids, err := tok.Encode("azza")
		require.NoError(t, err)
		assert.Equal(t, c.want, ids)
	}
}

func TestEOS(t *testing.T) {
	cases := []struct {
		name   string
		files  map[string]string
		want   int
		broken bool
	}{
		{"by its usual name", nil, 3, false},
		{"named", map[string]string{"tokenizer_config.json": `{"eos_token":"b"}`}, 1, false},
		{"named by an object", map[string]string{"tokenizer_config.json": `{"eos_token":{"content":"ab"}}`}, 2, false},
		{"named by the other file", map[string]string{"tokenizer_config.json": `{"eos_token":null}`, "special_tokens_map.json": `{"eos_token":"a"}`}, 0, false},
		{"named and new", map[string]string{"tokenizer_config.json": `{"eos_token":"q"}`}, 4, false},
		{"broken file", map[string]string{"tokenizer_config.json": `{`}, 0, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			content, err := json.Marshal(smallFile())
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), content, 0o600))
			for name, text := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
			}
			tok, err := Load(dir)
			if c.broken {
				require.ErrorIs(t, err, ErrBadTokenizer)
				return
			}
			require.NoError(t, err)
			id, ok := tok.EOS()
			assert.True(t, ok)
			assert.Equal(t, c.want, id)
			assert.Equal(t, max(4, c.want+1), tok.Size())
		})
	}
	file := smallFile()
	file["added_tokens"] = nil
	content, err := json.Marshal(file)
	require.NoError(t, err)
	tok, err := parse(content, &settings{})
	require.NoError(t, err)
	_, ok := tok.EOS()
	assert.False(t, ok)
}

// FuzzLoad: a file is a tokenizer whose own ids decode, or is refused. Its seeds
// are as short as files can be: an input that finds something new is cut byte by
// byte, which takes a minute for one of a kilobyte.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		`{"model":{"vocab":[["a",1]],"merges":[[]]}}`,
		`{"pre_tokenizer":null,"decoder":{"type":"Sequence","decoders":[null]}}`,
	} {
		f.Add([]byte(text))
	}
	const pre, post = `{"pre_tokenizer":{"type":"ByteLevel"},"decoder":{"type":"ByteLevel"},`, `"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]}}`
	split := `{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"` + strings.ReplaceAll(clipPattern, `\`, `\\`) +
		`"},"behavior":"Removed","invert":true},{"type":"ByteLevel"}]},"decoder":{"type":"ByteLevel"},`
	for _, text := range []string{
		pre + post,
		pre + `"added_tokens":[{"id":3,"content":"<|endoftext|>","special":true}],` + post,
		pre + `"normalizer":{"type":"NFC"},` + post,
		pre + `"post_processor":{"type":"RobertaProcessing","sep":["b",1],"cls":["a",0]},` + post,
		pre + `"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a"}},{"Sequence":{"id":"A"}}],"special_tokens":{"a":{"ids":[0]}}},` + post,
		pre + `"model":{"type":"BPE","vocab":{"a":0},"merges":[],"unk_token":"a","fuse_unk":true,"ignore_merges":true}}`,
		split + `"normalizer":{"type":"Lowercase"},"model":{"type":"BPE","end_of_word_suffix":"</w>","vocab":{"a":0,"b</w>":1,"ab</w>":2},"merges":["a b</w>"]}}`,
	} {
		_, err := parse([]byte(text), &settings{})
		require.NoError(f, err, text)
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		tok, err := parse(content, &settings{})
		if err != nil {
			if !errors.Is(err, ErrBadTokenizer) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("an error without a cause: %v", err)
			}
			return
		}
		ids, err := tok.Encode("ab <|endoftext|>\n c")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tok.Decode(ids); err != nil {
			t.Fatalf("ids %v of its own do not decode: %v", ids, err)
		}
	})
}

// FuzzRoundTrip holds for a vocabulary that has every byte and no normalizer.
func FuzzRoundTrip(f *testing.F) {
	tok, err := Load(filepath.Join("testdata", "plain"))
	require.NoError(f, err)
	for _, text := range []string{"", " ", "a\n\n b  c", "they'll 've", "日本😀", "<|endoftext|>", "\u00a0 \x85"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := tok.Encode(text)
		if err != nil {
			return
		}
		back, err := tok.Decode(ids)
		if err != nil || back != text {
			t.Fatalf("%q came back as %q: %v", text, back, err)
		}
		var streamed strings.Builder
		s := tok.Stream()
		for _, id := range ids {
			piece, err := s.Next(id)
			if err != nil {
				t.Fatal(err)
			}
			streamed.WriteString(piece)
		}
		streamed.WriteString(s.Flush())
		if streamed.String() != text {
			t.Fatalf("%q was streamed as %q", text, streamed.String())
		}
	})
}
