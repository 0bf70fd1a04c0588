package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// asking is a small CLIP checkpoint with a tokenizer.
const asking = "../../testdata/ask"

// asked is a question of testdata/ask/vqa.json.
type asked struct {
	Template, Question string
	Answers, Images    []string
	Logits             [][]float32
	Probabilities      [][]float64
}

func readAsked(t *testing.T) []asked {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(asking, "vqa.json"))
	require.NoError(t, err)
	var golden struct{ Cases []asked }
	require.NoError(t, json.Unmarshal(text, &golden))
	require.NotEmpty(t, golden.Cases)
	return golden.Cases
}

// args are the call that asks it.
func (q asked) args() []string {
	args := []string{"vqa", "--model", asking, "--json", "--prompt-template", q.Template}
	if q.Question != "" {
		args = append(args, "--question", q.Question)
	}
	var quoted []string
	for _, a := range q.Answers {
		if strings.Contains(a, ",") {
			a = `"` + a + `"`
		}
		quoted = append(quoted, a)
	}
	args = append(args, "--answers", strings.Join(quoted, ","))
	for _, image := range q.Images {
		args = append(args, "--image", picture(image))
	}
	return args
}

// TestVQA compares with transformers, from the files and the question to the
// probabilities, everywhere and under each policy.
func TestVQA(t *testing.T) {
	w := startChild(t, both())
	for _, q := range readAsked(t) {
		first := decode[vqaReport](t, q.args()...)
		require.Equal(t, q.Question, first.Question)
		require.Len(t, first.Images, len(q.Images))
		for i, got := range first.Images {
			requireAnswers(t, q, i, got)
		}
		for _, executor := range w.urls {
			for _, policy := range []string{"blind", "resident", "full"} {
				r := decode[vqaReport](t, append(q.args(), "--executor", executor, "--policy", policy)...)
				require.Equal(t, first.Images, r.Images, "%s %s", executor, policy)
				require.Equal(t, policy, r.Policy)
				require.Equal(t, w.cmd.Process.Pid, r.WorkerPID)
				require.Greater(t, r.RemoteOps, int64(10))
				require.Positive(t, sum(r.Wire.Received))
			}
		}
	}
}

func requireAnswers(t *testing.T, q asked, image int, got imageAnswers) {
	t.Helper()
	require.Equal(t, q.Images[image], filepath.Base(got.File))
	require.Len(t, got.Answers, len(q.Answers))
	last := 1.0
	for _, a := range got.Answers {
		i := slices.Index(q.Answers, a.Answer)
		require.GreaterOrEqual(t, i, 0, a.Answer)
		require.InDelta(t, q.Logits[image][i], a.Logit, 1e-4)
		require.InDelta(t, q.Probabilities[image][i], a.Probability, 1e-4)
		require.LessOrEqual(t, a.Probability, last)
		last = a.Probability
	}
}

func TestVQAText(t *testing.T) {
	q := readAsked(t)[0]
	r := cli(t, "vqa", "--model", asking, "--image", picture("rgb.png"), "--question", q.Question, "--answers", strings.Join(q.Answers, ","))
	require.Zero(t, r.code, r.stderr)
	require.Empty(t, r.stderr)
	require.Equal(t, " 27.58%  green\n 27.19%  blue\n 24.23%  red\n 20.99%  a bit of black\n", r.stdout)
}

func TestVQARefuses(t *testing.T) {
	text, _ := brokenPictures(t)
	model, image, rest := []string{"--model", asking}, []string{"--image", picture("rgb.png")}, []string{"--question", "what?", "--answers", "a,b"}
	with := func(args ...string) []string { return slices.Concat(model, image, rest, args) }
	requireRefused(t, "vqa", []refusal{
		{"no model", slices.Concat(image, rest), 2, "--model is missing"},
		{"no image", slices.Concat(model, rest), 2, "--image FILE is missing"},
		{"no question", slices.Concat(model, image, rest[2:]), 2, "--question TEXT is missing"},
		{"no answers", slices.Concat(model, image, rest[:2]), 2, "--answers A,B,C is missing"},
		{"empty answer", slices.Concat(model, image, rest[:2], []string{"--answers", "a,,b"}), 2, "--answers has an empty one"},
		{"answer twice", with("--answers", "b"), 2, `--answers has "b" twice`},
		{"template without answer", with("--prompt-template", "{question}?"), 2, "has no {answer}"},
		{"template without question", with("--prompt-template", "{answer}"), 2, "has no {question}"},
		{"prompt too long", with("--answers", strings.Repeat("so many words ", 20)), 2, "the model reads 32"},
		{"unknown flag", with("--nonsense"), 2, "unknown flag: --nonsense"},
		{"policy", with("--policy", "greedy"), 2, "there are blind, resident and full"},
		{"executor", with("--executor", "http://x:1"), 2, "http://x:1"},
		{"another model", slices.Concat([]string{"--model", filepath.Join(resnets, "basic")}, image, rest), 1, `model_type "resnet"; vqa takes "clip"`},
		{"no tokenizer", slices.Concat([]string{"--model", "../../testdata/clip/plain"}, image, rest), 1, "no tokenizer.json"},
		{"no such image", slices.Concat(model, rest, []string{"--image", "/nowhere/cat.jpg"}), 1, "/nowhere/cat.jpg"},
		{"not an image", slices.Concat(model, rest, []string{"--image", text}), 1, "notes.jpg: not a JPEG, PNG, GIF, WebP or BMP image"},
		{"unreachable", with("--executor", "grpc://127.0.0.1:1"), 1, "grpc://127.0.0.1:1"},
	})
}

func TestVQAInterrupted(t *testing.T) {
	requireInterruptible(t, "vqa", "--model", asking, "--image", picture("rgb.png"), "--question", "what?", "--answers", "a,b")
}
