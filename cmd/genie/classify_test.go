package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/familytest"
)

const (
	resnets  = "../../testdata/resnet"
	pictures = "../../testdata/images"
)

// classified is one image of the classify.json of a checkpoint.
type classified struct {
	Image         string
	Logits        []float32
	Probabilities []float64
	Labels        []string
}

func readClassified(t *testing.T, dir string) []classified {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "classify.json"))
	require.NoError(t, err)
	var golden struct{ Pictures []classified }
	require.NoError(t, json.Unmarshal(text, &golden))
	require.NotEmpty(t, golden.Pictures)
	return golden.Pictures
}

// picture is an image file for the tests of both commands.
func picture(name string) string { return filepath.Join(pictures, name) }

// TestClassify compares every checkpoint that has a classify.json with transformers,
// from the file to the probabilities, everywhere and under each policy; a batch has the
// bits of single images. Every family of classifiers has such a checkpoint.
func TestClassify(t *testing.T) {
	w := startChild(t, both())
	held := map[string]bool{}
	for _, c := range familytest.Checkpoints(t, filepath.Join("..", "..")) {
		if _, err := os.Stat(filepath.Join(c.Dir, "classify.json")); err != nil {
			continue
		}
		held[c.Family.Name] = true
		t.Run(c.Name, func(t *testing.T) { requireClassified(t, w, c.Dir) })
	}
	for _, f := range familiesThat(classifies) {
		require.True(t, held[f.Name], "%s has no checkpoint with a classify.json", f.Title)
	}
}

func requireClassified(t *testing.T, w *child, dir string) {
	t.Helper()
	golden := readClassified(t, dir)
	args := []string{"classify", "--model", dir, "--top", "1000", "--json"}
	for _, p := range golden {
		args = append(args, "--image", picture(p.Image))
	}
	first := decode[classifyReport](t, args...)
	require.Len(t, first.Images, len(golden))
	for i, p := range golden {
		requireLabels(t, p, first.Images[i])
	}
	require.Zero(t, first.WorkerPID)
	one := decode[classifyReport](t, "classify", "--model", dir, "--top", "2", "--json", "--image", picture(golden[1].Image))
	require.Equal(t, first.Images[1].Labels[:2], one.Images[0].Labels)
	for _, executor := range w.urls {
		for _, policy := range []string{"blind", "resident", "full"} {
			r := decode[classifyReport](t, append(args, "--executor", executor, "--policy", policy)...)
			require.Equal(t, first.Images, r.Images, "%s %s", executor, policy)
			require.Equal(t, policy, r.Policy)
			require.Equal(t, executor, r.Executor)
			require.Equal(t, w.cmd.Process.Pid, r.WorkerPID)
			require.Greater(t, r.RemoteOps, int64(10))
			require.Positive(t, r.RoundTrips)
			require.Positive(t, sum(r.Wire.Sent))
		}
	}
}

func requireLabels(t *testing.T, want classified, got imageLabels) {
	t.Helper()
	require.Equal(t, picture(want.Image), got.File)
	require.Len(t, got.Labels, len(want.Logits))
	for i, l := range got.Labels {
		require.Equal(t, want.Labels[i], l.Label, want.Image)
		require.InDelta(t, want.Logits[l.ID], l.Logit, 1e-4, want.Image)
		require.InDelta(t, want.Probabilities[l.ID], l.Probability, 1e-4, want.Image)
	}
}

func TestClassifyText(t *testing.T) {
	model := filepath.Join(resnets, "basic")
	p := readClassified(t, model)[0]
	r := cli(t, "classify", "--model", model, "--image", picture(p.Image), "--top", "2")
	require.Zero(t, r.code, r.stderr)
	require.Empty(t, r.stderr)
	require.Equal(t, " 83.62%  LABEL_3\n 10.86%  LABEL_4\n", r.stdout)
	r = cli(t, "classify", "--model", model, "--image", picture(p.Image), "--image", picture("tall.png"))
	require.Zero(t, r.code, r.stderr)
	require.Equal(t, 2, strings.Count(r.stdout, ".png\n"))
	require.Equal(t, 2*(1+5)+1, strings.Count(r.stdout, "\n"), "five labels by default")
}

// brokenPictures are files that are not images, or not complete ones.
func brokenPictures(t *testing.T) (text, truncated string) {
	t.Helper()
	dir := t.TempDir()
	text, truncated = filepath.Join(dir, "notes.jpg"), filepath.Join(dir, "half.png")
	require.NoError(t, os.WriteFile(text, []byte("no picture"), 0o600))
	whole, err := os.ReadFile(picture("rgb.png"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(truncated, whole[:len(whole)/2], 0o600))
	return text, truncated
}

// refusal is a call that has to fail with one line.
type refusal struct {
	name string
	args []string
	code int
	says string
}

func requireRefused(t *testing.T, command string, cases []refusal) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, append([]string{command}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
			require.True(t, strings.HasPrefix(r.stderr, "genie: "), r.stderr)
			require.Equal(t, 1, strings.Count(r.stderr, "\n"), r.stderr)
			require.Empty(t, r.stdout)
		})
	}
}

func TestClassifyRefuses(t *testing.T) {
	text, truncated := brokenPictures(t)
	model, image := []string{"--model", filepath.Join(resnets, "basic")}, []string{"--image", picture("rgb.png")}
	with := func(args ...string) []string { return append(append(append([]string{}, model...), image...), args...) }
	requireRefused(t, "classify", []refusal{
		{"no model", image, 2, "--model is missing"},
		{"no image", model, 2, "--image FILE is missing"},
		{"unknown flag", with("--nonsense"), 2, "unknown flag: --nonsense"},
		{"argument", with("extra"), 2, `takes no argument "extra"`},
		{"top", with("--top", "0"), 2, "--top is 0"},
		{"threads", with("--threads", "-1"), 2, "--threads is -1"},
		{"policy", with("--policy", "greedy"), 2, "there are blind, resident and full"},
		{"executor", with("--executor", "http://x:1"), 2, "http://x:1"},
		{"no such model", append([]string{"--model", "/nowhere"}, image...), 1, "/nowhere/config.json"},
		{"another model", append([]string{"--model", basic}, image...), 1, `model_type "gpt2"; classify takes "resnet"`},
		{"no preprocessor", append([]string{"--model", filepath.Join(resnets, "early")}, image...), 1, "no preprocessor_config.json"},
		{"no such image", append(model, "--image", "/nowhere/cat.jpg"), 1, "/nowhere/cat.jpg"},
		{"directory", append(model, "--image", pictures), 1, "is not a regular file"},
		{"not an image", append(model, "--image", text), 1, "notes.jpg: not a JPEG, PNG, GIF, WebP or BMP image"},
		{"half an image", append(model, "--image", truncated), 1, "half.png: unreadable image: PNG"},
		{"unreachable", with("--executor", "tcp://127.0.0.1:1"), 1, "unreachable: tcp://127.0.0.1:1"},
	})
}

// requireInterruptible runs a command against a worker that never answers, and
// interrupts it when it has come to it.
func requireInterruptible(t *testing.T, args ...string) {
	t.Helper()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close()
	cmd := command(t, append(args, "--executor", "tcp://"+silent.Addr().String())...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Start())
	c, err := silent.Accept()
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	require.Error(t, cmd.Wait())
	require.Equal(t, 130, cmd.ProcessState.ExitCode(), stderr.String())
	require.Equal(t, "genie: interrupted\n", stderr.String())
	require.Empty(t, stdout.String())
}

func TestClassifyInterrupted(t *testing.T) {
	requireInterruptible(t, "classify", "--model", filepath.Join(resnets, "basic"), "--image", picture("rgb.png"))
}
