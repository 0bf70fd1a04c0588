package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/workloads/gpt2"
)

// withFiles is a checkpoint of testdata with other files beside its weights.
func withFiles(t *testing.T, from string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	names, err := os.ReadDir(from)
	require.NoError(t, err)
	for _, e := range names {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, e.Name()), text, 0o600))
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}

// TestStop ends a generation before a stop string, however it is divided into
// tokens, on each executor.
func TestStop(t *testing.T) {
	w := startChild(t, both())
	args := func(executor string, more ...string) []string {
		return append([]string{"generate", "--model", austen, "--prompt", "It is a truth", "--max-new", "30", "--executor", executor}, more...)
	}
	whole := decode[generateReport](t, args("local:", "--json")...)
	require.Len(t, whole.Tokens, 30)
	for _, executor := range append([]string{"local:"}, w.urls...) {
		for _, at := range []int{1, 7, len(whole.Text) / 2, len(whole.Text) - 3} {
			stop := whole.Text[at : at+3]
			want, _, found := strings.Cut(whole.Text, stop)
			require.True(t, found)
			r := decode[generateReport](t, args(executor, "--stop", "no such text", "--stop", stop, "--json")...)
			require.Equal(t, want, r.Text)
			require.Equal(t, "stop", string(r.Finish))
			require.Equal(t, whole.Tokens[:len(r.Tokens)], r.Tokens)
			require.Equal(t, want+"\n", cli(t, args(executor, "--stop", stop)...).stdout)
		}
		// The beginning of a stop that does not come is text.
		r := decode[generateReport](t, args(executor, "--stop", whole.Text[len(whole.Text)-4:]+"~", "--json")...)
		require.Equal(t, whole.Text, r.Text)
		require.Equal(t, whole.Tokens, r.Tokens)
		require.Equal(t, "length", string(r.Finish))
	}

	// Without a tokenizer the text is ids, and so is a stop.
	prompt, greedy := golden(t)
	r := decode[generateReport](t, "generate", "--model", basic, "--tokens", prompt, "--ignore-eos", "--stop", "9999", "--stop", strconv.Itoa(greedy[4]), "--json")
	require.Equal(t, greedy[:slices.Index(greedy, greedy[4])+1], r.Tokens)
	require.Equal(t, "stop", string(r.Finish))
	refused := cli(t, "generate", "--model", basic, "--tokens", prompt, "--stop", "the")
	require.Equal(t, exitUsage, refused.code)
	require.Contains(t, refused.stderr, "is not a token id")
	require.Equal(t, exitUsage, cli(t, args("local:", "--stop", "")...).code)
}

// TestSettingsOfCheckpoint follows generation_config.json where the flags leave
// it open, and refuses by name what it cannot follow.
func TestSettingsOfCheckpoint(t *testing.T) {
	prompt, greedy := golden(t)
	n := strings.Count(prompt, ",") + 1
	generate := func(settings string, more ...string) result {
		dir := withFiles(t, basic, map[string]string{"generation_config.json": settings})
		return cli(t, append([]string{"generate", "--model", dir, "--tokens", prompt, "--json"}, more...)...)
	}
	tokens := func(r result) []int {
		require.Zero(t, r.code, r.stderr)
		var report generateReport
		require.NoError(t, json.Unmarshal([]byte(r.stdout), &report))
		return report.Tokens
	}
	require.Equal(t, greedy[:7], tokens(generate(`{"max_new_tokens": 7}`)))
	require.Equal(t, greedy[:3], tokens(generate(`{"max_length": `+strconv.Itoa(n+3)+`}`)))
	require.Equal(t, greedy[:5], tokens(generate(`{"max_new_tokens": 7, "max_length": 1}`, "--max-new", "5")))
	require.Contains(t, generate(`{"max_length": 1}`).stderr, "max_length")
	require.Len(t, tokens(generate(`{"max_new_tokens": 7}`, "--ignore-generation-config")), 50)

	// Sampling from the likeliest token alone is greedy; from all it is not.
	require.Equal(t, greedy[:20], tokens(generate(`{"do_sample": true, "top_k": 1, "temperature": 5.0}`, "--max-new", "20")))
	require.Equal(t, greedy[:20], tokens(generate(`{"do_sample": true, "top_p": 0.0, "temperature": 5.0}`, "--max-new", "20")))
	hot := `{"do_sample": true, "top_k": 0, "temperature": 5.0}`
	require.NotEqual(t, greedy[:20], tokens(generate(hot, "--max-new", "20", "--seed", "1")))
	require.Equal(t, tokens(generate(hot, "--max-new", "20", "--seed", "1")),
		tokens(generate(`{}`, "--max-new", "20", "--seed", "1", "--temperature", "5")))
	require.Equal(t, greedy[:20], tokens(generate(hot, "--max-new", "20", "--greedy")))
	require.Equal(t, greedy[:20], tokens(generate(hot, "--max-new", "20", "--ignore-generation-config")))
	require.Equal(t, greedy[:20], tokens(generate(hot, "--max-new", "20", "--top-k", "1")))
	require.Equal(t, greedy[:20], tokens(generate(`{"temperature": 5.0, "top_k": 3, "typical_p": 0.2}`, "--max-new", "20")))

	for settings, key := range map[string]string{
		`{"repetition_penalty": 1.3}`:              "repetition_penalty",
		`{"no_repeat_ngram_size": 3}`:              "no_repeat_ngram_size",
		`{"num_beams": 4}`:                         "num_beams",
		`{"suppress_tokens": [5]}`:                 "suppress_tokens",
		`{"min_new_tokens": 3, "eos_token_id": 5}`: "min_new_tokens",
		`{"eos_token_id": "5"}`:                    "eos_token_id",
		`{"do_sample": true, "typical_p": 0.2}`:    "typical_p",
		`{"do_sample": true, "temperature": 0}`:    "temperature",
		`{"do_sample": "yes"}`:                     "do_sample",
		`{"max_new_tokens": "7"}`:                  "max_new_tokens",
		`{`:                                        "generation_config.json",
	} {
		r := generate(settings)
		require.Equal(t, exitFailure, r.code, settings)
		require.Contains(t, r.stderr, key)
		require.Contains(t, r.stderr, "generation_config.json")
	}
	require.Equal(t, greedy[:4], tokens(generate(`{"repetition_penalty": 1.3}`, "--max-new", "4", "--ignore-generation-config")))
	require.Equal(t, greedy[:4], tokens(generate(`{"eos_token_id": "5", "min_length": 99}`, "--max-new", "4", "--ignore-eos")))
	require.Equal(t, "genie: unsupported generation setting", gpt2.ErrGeneration.Error())
}

// TestStopStringsOfCheckpoint ends a text where the checkpoint says.
func TestStopStringsOfCheckpoint(t *testing.T) {
	whole := decode[generateReport](t, "generate", "--model", austen, "--prompt", "It is a truth", "--max-new", "30", "--json")
	stop := whole.Text[10:14]
	for _, form := range []string{`[` + strconv.Quote(stop) + `, "~~"]`, strconv.Quote(stop)} {
		dir := withFiles(t, austen, map[string]string{"generation_config.json": `{"stop_strings": ` + form + `}`})
		r := decode[generateReport](t, "generate", "--model", dir, "--prompt", "It is a truth", "--max-new", "30", "--json")
		want, _, found := strings.Cut(whole.Text, stop)
		require.True(t, found)
		require.Equal(t, want, r.Text)
	}
}

// TestTokenizerIsNotNeeded runs ids with a tokenizer.json that is not supported,
// and says why --prompt cannot.
func TestTokenizerIsNotNeeded(t *testing.T) {
	prompt, greedy := golden(t)
	dir := withFiles(t, basic, map[string]string{"tokenizer.json": `{"model": {"type": "Unigram", "vocab": [["a", -1.5]]}}`})
	r := cli(t, "generate", "--model", dir, "--tokens", prompt, "--max-new", "3", "--ignore-eos")
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, strings.Trim(strings.Join(strings.Fields(strings.Trim(jsonOf(t, greedy[:3]), "[]")), " "), " "), strings.ReplaceAll(strings.TrimSpace(r.stdout), " ", ","))
	require.Contains(t, r.stderr, "unsupported tokenizer")
	r = cli(t, "generate", "--model", dir, "--prompt", "a")
	require.Equal(t, exitFailure, r.code)
	require.Contains(t, r.stderr, "--prompt needs a tokenizer")
	require.Contains(t, r.stderr, "Unigram")
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

// TestClassifyNotSquare classifies images that the preprocessor does not
// resize.
func TestClassifyNotSquare(t *testing.T) {
	dir := withFiles(t, filepath.Join("..", "..", "testdata", "resnet", "basic"), map[string]string{
		"preprocessor_config.json": `{"image_processor_type": "ViTImageProcessor", "size": {"height": 33, "width": 47}}`,
	})
	r := cli(t, "classify", "--model", dir, "--image", filepath.Join("..", "..", "testdata", "images", "wide.png"), "--json")
	require.Zero(t, r.code, r.stderr)
}
