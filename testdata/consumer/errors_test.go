package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/gpt2"
	"github.com/genie-sdk/go/workloads/tokenizer"
)

// copyModel copies a checkpoint of the repository's, to be spoiled.
func copyModel(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join("..", "gpt2", "basic", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// edit changes a file of a checkpoint.
func edit(name string, change func([]byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		p := filepath.Join(dir, name)
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		changed := change(bytes.Clone(b))
		if bytes.Equal(b, changed) {
			t.Fatal("nothing was changed")
		}
		if err := os.WriteFile(p, changed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func replace(name, from, to string) func(t *testing.T, dir string) {
	return edit(name, func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) })
}

// TestLoadErrors loads checkpoints that are wrong in one way each: a module outside
// the SDK can tell what is wrong.
func TestLoadErrors(t *testing.T) {
	const config, weights = "config.json", "model.safetensors"
	remove := func(name string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, dir string)
		want  []error
	}{
		{"no config", remove(config), []error{workloads.ErrMissingFile}},
		{"no weights", remove(weights), []error{workloads.ErrMissingFile}},
		{"config that is no JSON", edit(config, func(b []byte) []byte { return b[:len(b)/2] }), []error{workloads.ErrCorruptCheckpoint, workloads.ErrJSONSyntax}},
		{"config that is no object", edit(config, func([]byte) []byte { return []byte("[1]") }), []error{gpt2.ErrConfig, workloads.ErrJSONType}},
		{"text for a number", replace(config, `"n_layer": 2`, `"n_layer": "two"`), []error{gpt2.ErrConfig, workloads.ErrJSONType}},
		{"another family", replace(config, `"model_type": "gpt2"`, `"model_type": "bert"`), []error{gpt2.ErrConfig, workloads.ErrFamily}},
		{"another activation", replace(config, `"gelu_new"`, `"gelu_old"`), []error{gpt2.ErrConfig, workloads.ErrUnknownActivation}},
		{"more layers", replace(config, `"n_layer": 2`, `"n_layer": 3`), []error{workloads.ErrMissingTensor}},
		{"another width", replace(config, `"n_embd": 64`, `"n_embd": 32`), []error{workloads.ErrTensorShape}},
		{"weights cut short", edit(weights, func(b []byte) []byte { return b[:len(b)-1] }), []error{workloads.ErrCorruptCheckpoint, workloads.ErrCorruptSafetensors}},
		{"another element type", replace(weights, `"F32"`, `"I32"`), []error{workloads.ErrTensorShape}},
		{"a link to elsewhere", func(t *testing.T, dir string) {
			t.Helper()
			p, elsewhere := filepath.Join(dir, weights), filepath.Join(t.TempDir(), weights)
			if err := errors.Join(os.Rename(p, elsewhere), os.Symlink(elsewhere, p)); err != nil {
				t.Fatal(err)
			}
		}, []error{workloads.ErrOutsideFolder}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyModel(t)
			c.spoil(t, dir)
			_, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Hashes: "off"})
			for _, want := range c.want {
				if !errors.Is(err, want) {
					t.Errorf("got %v, want %v", err, want)
				}
			}
		})
	}
}

// TestTokenizerErrors distinguishes a missing tokenizer from a broken one and
// from one that needs unsupported features.
func TestTokenizerErrors(t *testing.T) {
	for _, c := range []struct {
		name, file string
		want       error
	}{
		{"none", "", tokenizer.ErrNoTokenizer},
		{"broken", `{"model":`, tokenizer.ErrBadTokenizer},
		{"another kind", `{"version":"1.0","added_tokens":[],"model":{"type":"Unigram","vocab":[["a",0]]}}`, tokenizer.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := copyModel(t)
			if c.file != "" {
				if err := os.WriteFile(filepath.Join(dir, "tokenizer.json"), []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Hashes: "off"})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if m.Tokenizer != nil || !errors.Is(m.TokenizerErr, c.want) {
				t.Errorf("got %v and %v, want %v", m.Tokenizer, m.TokenizerErr, c.want)
			}
		})
	}
}

// TestTokenizer makes and reads text with a type that this module can name.
func TestTokenizer(t *testing.T) {
	words, err := tokenizer.Load(filepath.Join("..", "models", "austen"))
	if err != nil {
		t.Fatal(err)
	}
	type vocabulary struct{ words *tokenizer.Tokenizer }
	v := vocabulary{words}
	ids, err := v.words.Encode("It is a truth")
	if err != nil {
		t.Fatal(err)
	}
	text, err := v.words.Decode(ids)
	if err != nil || text != "It is a truth" {
		t.Errorf("%v gives %q: %v", ids, text, err)
	}
	if _, err := v.words.Decode([]int{1 << 20}); !errors.Is(err, tokenizer.ErrUnknownToken) {
		t.Errorf("got %v", err)
	}
	if _, err := v.words.Encode("\xff"); !errors.Is(err, tokenizer.ErrInvalidText) {
		t.Errorf("got %v", err)
	}
}

// TestNewCheckpoint writes checkpoints with options that this module can name.
func TestNewCheckpoint(t *testing.T) {
	var write workloads.NewCheckpoint = gpt2.NewCheckpoint
	dir := t.TempDir()
	if err := write(t.Context(), "gpt2-tiny", 1, dir, workloads.CheckpointOptions{DType: gpt2.Config{}.DType}); err != nil {
		t.Fatal(err)
	}
	m, err := gpt2.Load(t.Context(), dir, gpt2.LoadOptions{Hashes: "off"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Config.DType != lazy.F32 {
		t.Errorf("the weights are %v", m.Config.DType)
	}
	if err := write(t.Context(), "gpt2-huge", 1, dir, workloads.CheckpointOptions{}); !errors.Is(err, workloads.ErrUnknownArchitecture) {
		t.Errorf("got %v", err)
	}
	if err := write(t.Context(), "gpt2-tiny", 1, dir, workloads.CheckpointOptions{DType: lazy.I32}); !errors.Is(err, workloads.ErrWeightType) {
		t.Errorf("got %v", err)
	}
}

// TestTypedErrors finds the errors of a run, including the worker's, with
// package genie alone.
func TestTypedErrors(t *testing.T) {
	url := startWorker(t)
	client, err := genie.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	session, err := client.NewSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()

	g := lazy.NewGraph("rows")
	index := g.Input("index", lazy.I32, "n")
	rows := lazy.Embedding(g.WeightF32("table", make([]float32, 6), 3, 2), index)
	_, err = session.Run(t.Context(), genie.Feed{"index": genie.Int32s([]int32{3}, 1)}, rows)
	var remote *genie.RemoteError
	if !errors.Is(err, genie.ErrIndexRange) || !errors.As(err, &remote) || !strings.Contains(url, remote.Addr) || remote.Addr == "" {
		t.Errorf("got %v, of the worker %+v", err, remote)
	}

	_, err = session.Run(t.Context(), genie.Feed{"index": genie.Int32s([]int32{0}, 1)}, lazy.MatMul(rows, rows))
	var capture *genie.CaptureError
	if !errors.Is(err, genie.ErrCapture) || !errors.As(err, &capture) || filepath.Base(capture.File) != "errors_test.go" {
		t.Errorf("got %v, of the program %+v", err, capture)
	}

	// Errors of a busy or a full worker: their fields and causes.
	for _, c := range []struct{ err, want error }{
		{&genie.MemoryError{Need: 2, Free: 1}, genie.ErrMemory},
		{&genie.OverloadError{RetryAfter: time.Second, Err: genie.ErrOverloaded}, genie.ErrOverloaded},
		{&genie.QuotaError{What: "sessions", Limit: 1}, genie.ErrQuota},
		{&genie.ContentError{Name: "w", Err: errors.New("other bytes")}, genie.ErrCorrupt},
		{&genie.NotGenieError{Start: "SSH-"}, genie.ErrProtocol},
	} {
		if !errors.Is(fmt.Errorf("run: %w", c.err), c.want) {
			t.Errorf("%v is no %v", c.err, c.want)
		}
	}
	if errors.Is(genie.ErrUnknownPlan, genie.ErrInvalidPlan) {
		t.Error("two causes are one")
	}
}
