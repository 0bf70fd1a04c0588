package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/workloads/easyvqa"
)

const (
	model    = "../../testdata/models/easy-vqa"
	question = "what color is the shape?"
	images   = 20
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder writes images of the test split of easy-VQA to files, some of them in
// a subfolder, and returns the correct answers by file.
func folder(t *testing.T) (dir string, want map[string]string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	split, err := easyvqa.LoadSplit("../../testdata/easy-vqa")
	require.NoError(t, err)
	dir, want = t.TempDir(), map[string]string{}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "more"), 0o700))
	for i, q := range split.Questions {
		if q.Text != "what color is the shape?" && q.Text != "What color is the shape?" || len(want) == images {
			continue
		}
		name := fmt.Sprintf("%04d.png", q.Image)
		if q.Image%3 == 0 {
			name = "more/" + name
		}
		if _, there := want[name]; there {
			continue
		}
		var file bytes.Buffer
		require.NoError(t, png.Encode(&file, split.Images[q.Image]))
		require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), file.Bytes(), 0o600))
		want[name] = split.Answers[i]
	}
	require.Len(t, want, images)
	return dir, want
}

// answered reads an answers file: each file occurs once.
func answered(t *testing.T, path string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	got := map[string]string{}
	for line := range strings.Lines(string(text)) {
		var a answer
		require.NoError(t, json.Unmarshal([]byte(line), &a))
		require.Equal(t, question, a.Question)
		require.NotContains(t, got, a.File)
		got[a.File] = a.Answer
	}
	return got
}

func call(t *testing.T, want int, args ...string) string {
	t.Helper()
	var errs bytes.Buffer
	require.Equal(t, want, run(t.Context(), append([]string{"-model", model}, args...), &errs), errs.String())
	return errs.String()
}

// TestAnswers compares the answers with those of the data set, in this process
// and on a worker.
func TestAnswers(t *testing.T) {
	dir, want := folder(t)
	w := workertest.Start(t, nil)
	for i, executor := range []string{"local:", "tcp://" + w.TCP, "grpc://" + w.GRPC} {
		out := filepath.Join(t.TempDir(), "answers.jsonl")
		log := call(t, exitOK, "-in", dir, "-out", out, "-executor", executor, "-size", []string{"7", "64", "1"}[i])
		require.Contains(t, log, "20 of 20, 0 bad")
		require.Equal(t, want, answered(t, out))
	}
}

// TestBadFiles skips files that are not images, and retries them in the next
// run.
func TestBadFiles(t *testing.T) {
	dir, want := folder(t)
	out := filepath.Join(t.TempDir(), "answers.jsonl")
	whole, err := os.ReadFile(filepath.Join("..", "..", "testdata", "images", "rgb.png")) // of another size
	require.NoError(t, err)
	for name, data := range map[string][]byte{
		"empty.png": nil, "text.jpg": []byte("no image"), "large.png": whole, "cut.png": whole[:60], "notes.txt": []byte("ignored"),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), data, 0o600))
	}
	log := call(t, exitBadFiles, "-in", dir, "-out", out, "-size", "6")
	for _, name := range []string{"empty.png", "text.jpg", "large.png", "cut.png"} {
		require.Contains(t, log, "bad file: "+name+": ")
	}
	require.NotContains(t, log, "notes.txt")
	require.Equal(t, want, answered(t, out))

	log = call(t, exitBadFiles, "-in", dir, "-out", out)
	require.Contains(t, log, "24 images, 20 of them answered before")
	for _, name := range []string{"empty.png", "text.jpg", "large.png", "cut.png"} {
		require.NoError(t, os.Remove(filepath.Join(dir, name)))
	}
	call(t, exitOK, "-in", dir, "-out", out)
	require.Equal(t, want, answered(t, out))
}

// interrupting is a log that ends the run when it contains text.
type interrupting struct {
	bytes.Buffer

	text   string
	cancel context.CancelFunc
}

func (i *interrupting) Write(b []byte) (int, error) {
	if strings.Contains(string(b), i.text) {
		i.cancel()
	}
	return i.Buffer.Write(b)
}

// TestResume interrupts a run in the middle, cuts its last line short as a kill
// would, and restarts it: each image is answered once.
func TestResume(t *testing.T) {
	dir, want := folder(t)
	out := filepath.Join(t.TempDir(), "answers.jsonl")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	log := &interrupting{text: "10 of 20", cancel: cancel}
	args := []string{"-model", model, "-in", dir, "-out", out, "-size", "5"}
	require.Equal(t, exitFailure, run(ctx, args, log), log.String())
	require.Contains(t, log.String(), "canceled")
	before := len(answered(t, out))
	require.GreaterOrEqual(t, before, 10)
	require.Less(t, before, images)

	text, err := os.ReadFile(out)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(out, text[:len(text)-9], 0o600))
	again := call(t, exitOK, "-in", dir, "-out", out)
	require.Contains(t, again, fmt.Sprintf("20 images, %d of them answered before", before-1))
	require.Equal(t, want, answered(t, out))
	require.Contains(t, call(t, exitOK, "-in", dir, "-out", out), "20 of them answered before")
	require.Equal(t, want, answered(t, out))
}

// TestForeignFile checks that a file without answers stays unchanged.
func TestForeignFile(t *testing.T) {
	dir, _ := folder(t)
	for _, text := range []string{"a letter, without a line's end", "a letter\nof two lines\n", "{}\n"} {
		out := filepath.Join(t.TempDir(), "letter")
		require.NoError(t, os.WriteFile(out, []byte(text), 0o600))
		require.Contains(t, call(t, exitFailure, "-in", dir, "-out", out), "answers")
		after, err := os.ReadFile(out)
		require.NoError(t, err)
		require.Equal(t, text, string(after))
	}
}

func TestFailures(t *testing.T) {
	dir, _ := folder(t)
	out := filepath.Join(t.TempDir(), "answers.jsonl")
	for _, tt := range []struct {
		name string
		code int
		args []string
		says string
	}{
		{"no worker", exitFailure, []string{"-in", dir, "-out", out, "-executor", "tcp://127.0.0.1:1"}, "unreachable"},
		{"no model", exitFailure, []string{"-in", dir, "-out", out, "-model", dir}, "config.json"},
		{"no folder", exitFailure, []string{"-in", filepath.Join(dir, "none"), "-out", out}, "none"},
		{"word", exitFailure, []string{"-in", dir, "-out", out, "-question", "is it heavy?"}, "vocabulary"},
		{"no output", exitUsage, []string{"-in", dir}, "-out"},
		{"unknown flag", exitUsage, []string{"-nothing"}, "-nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Contains(t, call(t, tt.code, tt.args...), tt.says)
		})
	}
}
