package baselines_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/baselines"
	"github.com/genie-sdk/go/baselines/results"
	"github.com/genie-sdk/go/baselines/systems"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/llm"
)

// kept are the checkpoints with references in testdata/references: two trained
// ones, and two folders that transformers' save_pretrained wrote.
func kept() []string {
	return []string{
		"gpt2=" + filepath.Join(testdata, "models", "austen"),
		"easy-vqa=" + filepath.Join(testdata, "models", "easy-vqa"),
		"resnet=" + filepath.Join(testdata, "resnet", "bottleneck"),
		"clip=" + filepath.Join(testdata, "clip", "quick"),
	}
}

// withoutPython removes the environment of other implementations.
func withoutPython(t *testing.T) {
	t.Helper()
	t.Setenv(systems.EnvPython, "")
	t.Setenv(systems.EnvCache, t.TempDir())
}

// openCase opens a case, runs it once, and closes it.
func openCase(t *testing.T, s baselines.Spec) error {
	t.Helper()
	c, err := baselines.Open(t.Context(), s)
	if err != nil {
		return err
	}
	_, err = c.Run(t.Context())
	return errors.Join(err, c.Close())
}

// TestCheckpointCases opens every case on checkpoints with references that
// transformers 5.23.0 computed.
func TestCheckpointCases(t *testing.T) {
	t.Setenv(workloads.EnvReferences, filepath.Join(testdata, "references"))
	if !systems.Tested() {
		withoutPython(t)
	}
	opened, err := baselines.OpenCheckpoints(t.Context(), kept(), baselines.CheckpointOptions{})
	require.NoError(t, err)
	casesOf(t, opened, func(name string, err error) { require.NoError(t, err, name) })
}

// casesOf opens every case of checkpoints and passes its result on. It omits
// cases that cannot run on this machine, unless they are cases of this module.
// Python cases, which take some seconds each, run in one batch size.
func casesOf(t *testing.T, opened []*workloads.Checkpoint, outcome func(string, error)) {
	t.Helper()
	names, referenceSystems := map[string]bool{}, map[string]string{}
	for _, c := range opened {
		all, err := baselines.CheckpointWorkloads(c)
		require.NoError(t, err)
		require.NotEmpty(t, all)
		for _, w := range all {
			require.Equal(t, c.Label(), w.ID().Checkpoint)
			for _, base := range append(baselines.All(), baselines.Ablations()...) {
				s := baselines.Spec{Workload: w, Baseline: base}
				if !s.Meaningful() || skipped(base) {
					continue
				}
				if base.Kind == baselines.KindReferenceSystem {
					once := c.Label() + w.ID().Name + base.Name
					if referenceSystems[once] != "" {
						continue
					}
					referenceSystems[once] = s.Label()
				}
				require.False(t, names[s.Label()], s.Label())
				names[s.Label()] = true
				err := openCase(t, s)
				if errors.Is(err, baselines.ErrUnavailable) {
					require.NotEqual(t, baselines.KindGenie, base.Kind, "%v", err)
					continue
				}
				outcome(s.Label(), err)
			}
		}
	}
	require.Greater(t, len(names), 10)
}

// TestCheckpointCasesNotice changes one weight but not the reference: every
// case must refuse to be timed.
func TestCheckpointCasesNotice(t *testing.T) {
	refs := t.TempDir()
	t.Setenv(workloads.EnvReferences, filepath.Join(testdata, "references"))
	var changed []*workloads.Checkpoint
	copies := map[string]string{}
	for _, n := range kept() {
		family, dir, _ := strings.Cut(n, "=")
		was, err := workloads.OpenCheckpoint(t.Context(), family, dir, nil)
		require.NoError(t, err)
		file, err := workloads.ReferenceFile(was)
		require.NoError(t, err)
		reference, err := os.ReadFile(file)
		require.NoError(t, err)
		c, err := workloads.OpenCheckpoint(t.Context(), family, spoilt(t, family, dir), nil)
		require.NoError(t, err)
		require.NotEqual(t, was.Hash, c.Hash)
		copies[filepath.Join(refs, filepath.Base(strings.Replace(file, was.Hash, c.Hash, 1)))] = strings.Replace(string(reference), was.Hash, c.Hash, 1)
		changed = append(changed, c)
	}
	for path, text := range copies {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	t.Setenv(workloads.EnvReferences, refs)
	casesOf(t, changed, func(name string, err error) { require.ErrorIs(t, err, workloads.ErrMismatch, name) })
}

// spoilt is a copy of a checkpoint with flipped signs in the weights of one
// large tensor, or in the last part of the file.
func spoilt(t *testing.T, family, from string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(from)))
	path := filepath.Join(dir, "model.safetensors")
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	step := 4
	if family == workloads.GPT2 { // this one is float16
		step = 2
	}
	for i := len(b) - 1; i > len(b)-len(b)/3; i -= step {
		b[i] ^= 0x80
	}
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return dir
}

// TestCheckpointProcess: the process of a case finds the checkpoint, and
// refuses one that has changed.
func TestCheckpointProcess(t *testing.T) {
	t.Setenv(workloads.EnvReferences, filepath.Join(testdata, "references"))
	opened, err := baselines.OpenCheckpoints(t.Context(), kept()[1:2], baselines.CheckpointOptions{})
	require.NoError(t, err)
	all, err := baselines.CheckpointWorkloads(opened[0])
	require.NoError(t, err)
	id := all[0].ID()
	n := baselines.Name{Workload: id.Name, Label: id.Label(), Scale: id.Scale, Baseline: "full", Checkpoint: opened[0]}
	p, err := baselines.StartProcess(t.Context(), n)
	require.NoError(t, err)
	r, err := p.Run(time.Millisecond)
	require.NoError(t, err)
	require.Positive(t, r.Runs)
	require.NoError(t, p.Close())

	other := *opened[0]
	other.Hash = strings.Repeat("0", len(other.Hash))
	n.Checkpoint = &other
	_, err = baselines.StartProcess(t.Context(), n)
	require.ErrorContains(t, err, "changed")
}

// TestCheckpointWithoutReference: without the environment, the error names the
// commands that make it.
func TestCheckpointWithoutReference(t *testing.T) {
	withoutPython(t)
	t.Setenv(workloads.EnvReferences, t.TempDir())
	_, err := baselines.OpenCheckpoints(t.Context(), kept()[:1], baselines.CheckpointOptions{})
	require.ErrorIs(t, err, baselines.ErrUnavailable)
	require.ErrorIs(t, err, workloads.ErrNoReference)
	require.ErrorContains(t, err, "genie bench setup")
	require.ErrorContains(t, err, "genie bench reference --checkpoint gpt2=")

	for _, wrong := range [][]string{{"austen"}, {"gpt2="}, {"llama=x"}} {
		_, err := baselines.OpenCheckpoints(t.Context(), wrong, baselines.CheckpointOptions{})
		require.ErrorIs(t, err, baselines.ErrUnknown, wrong)
	}
	t.Setenv(workloads.EnvReferences, filepath.Join(testdata, "references"))
	_, err = baselines.OpenCheckpoints(t.Context(), []string{kept()[2], kept()[2]}, baselines.CheckpointOptions{})
	require.ErrorIs(t, err, baselines.ErrUnknown, "twice")
}

// TestCheckpointsFromEnv: Go benchmarks use the named checkpoints, and nothing
// else.
func TestCheckpointsFromEnv(t *testing.T) {
	t.Setenv(workloads.EnvReferences, filepath.Join(testdata, "references"))
	t.Setenv(baselines.EnvCheckpoints, strings.Join(kept()[2:], ","))
	count := map[string]int{}
	for _, name := range baselines.WorkloadNames() {
		all, err := baselines.WorkloadsFromEnv(t.Context(), testdata, name, workloads.Tiny)
		require.NoError(t, err)
		for _, w := range all {
			require.Contains(t, w.ID().Label(), "@")
		}
		count[name] = len(all)
	}
	require.Equal(t, map[string]int{"llm-decode": 0, "llm-prefill": 0, "vision-cnn": 2, "multimodal-vqa": 2, "micro": 0}, count)
}

// TestCheckpointResultsDoNotMix: two checkpoints with one name are two results,
// and tables use the workload's own name.
func TestCheckpointResultsDoNotMix(t *testing.T) {
	w := workloads.ID{Name: "llm-decode", Model: "net@111111111111", Checkpoint: "net@111111111111", Batch: 4}
	other := w
	other.Model, other.Checkpoint = "net@222222222222", "net@222222222222"
	key := func(id workloads.ID) results.Key {
		return results.ParseName(fmt.Sprintf("BenchmarkX/workload=%s/baseline=full/model=%s/batch=4/net=loopback-2", id.Label(), id.Model))
	}
	require.NotEqual(t, key(w), key(other))
	require.NotEqual(t, w.Label(), other.Label())
	require.Equal(t, "llm-decode", key(w).Workload)
}

// TestLargeCheckpoints are run as at the full scale: one sequence at a time.
func TestLargeCheckpoints(t *testing.T) {
	small, large := &workloads.Checkpoint{Bytes: 2 << 30}, &workloads.Checkpoint{Bytes: 2<<30 + 1}
	require.Equal(t, workloads.Small, small.Scale())
	require.Equal(t, workloads.Full, large.Scale())
	require.Equal(t, map[string]int{"decode": 1, "decode4": 4, "prefill": 1}, llm.Parts(small))
	require.Equal(t, map[string]int{"decode": 1, "prefill": 1}, llm.Parts(large))
}

// TestSavePretrained lets transformers write checkpoints and compute their
// references, and opens every case: GENIE_TEST_REFERENCE_SYSTEMS=1.
func TestSavePretrained(t *testing.T) {
	if !systems.Tested() {
		t.Skip("it needs Python: genie bench setup, then GENIE_TEST_REFERENCE_SYSTEMS=1 go test -run TestSavePretrained -timeout 30m ./baselines")
	}
	python := os.Getenv(systems.EnvPython)
	if e, err := systems.Find(); python == "" && err == nil {
		python = e.Interpreter()
	}
	require.NotEmpty(t, python)
	dir := t.TempDir()
	script := `
import sys, torch, transformers as t
torch.manual_seed(3)
t.GPT2LMHeadModel(t.GPT2Config(n_layer=2, n_head=2, n_embd=48, vocab_size=211, n_positions=90, initializer_range=0.4, bos_token_id=1, eos_token_id=2)).save_pretrained(sys.argv[1] + "/gpt2", max_shard_size="60KB")
t.ResNetForImageClassification(t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=9)).save_pretrained(sys.argv[1] + "/resnet")
`
	said, err := exec.CommandContext(t.Context(), python, "-c", script, dir).CombinedOutput()
	require.NoError(t, err, "%s", said)
	t.Setenv(workloads.EnvReferences, t.TempDir())
	var lines []string
	named := []string{"gpt2=" + filepath.Join(dir, "gpt2"), "resnet=" + filepath.Join(dir, "resnet")}
	opened, err := baselines.OpenCheckpoints(t.Context(), named, baselines.CheckpointOptions{Said: func(l string) { lines = append(lines, l) }})
	require.NoError(t, err)
	require.Len(t, lines, 4)
	casesOf(t, opened, func(name string, err error) { require.NoError(t, err, name) })

	lines = nil
	_, err = baselines.OpenCheckpoints(t.Context(), named, baselines.CheckpointOptions{Said: func(l string) { lines = append(lines, l) }})
	require.NoError(t, err)
	require.Empty(t, lines, "computed once")
	files, err := fs.Glob(os.DirFS(os.Getenv(workloads.EnvReferences)), "*.json")
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(files, func(f string) bool { return strings.HasPrefix(f, "gpt2-") }))
}
