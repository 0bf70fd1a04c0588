package vqa_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
	"github.com/genie-sdk/go/workloads/vqa"
)

const testdata = "../../testdata"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t testing.TB, w *vqa.Workload, dir, url string, policy semantic.Policy) workloads.Runner {
	t.Helper()
	client, err := genie.Open(t.Context(), url, genie.WithPolicy(policy))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	p, err := w.Load(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	require.NotEmpty(t, p.Graph().Outputs())
	r, err := p.Open(t.Context(), client)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Close()) })
	return r
}

// TestRun runs the tiny scale in-process and on workers, under each policy, and
// compares with what transformers computed.
func TestRun(t *testing.T) {
	worker := workertest.Start(t, nil)
	for _, batch := range append(vqa.Batches(workloads.Tiny), 4) {
		w, err := vqa.Load(testdata, workloads.Tiny, batch)
		require.NoError(t, err)
		require.Equal(t, workloads.ID{Name: vqa.Name, Model: "clip-tiny", Scale: workloads.Tiny, Batch: batch}, w.ID())
		dir, err := w.Dir(t.Context(), nil)
		require.NoError(t, err)
		for name, in := range w.Inputs() {
			require.Len(t, in.Data, in.Elements()*in.DType.Size(), name)
		}
		var first []float32
		for _, url := range []string{"local:", "tcp://" + worker.TCP, "grpc://" + worker.GRPC} {
			for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
				r := open(t, w, dir, url, policy)
				called := 0
				run, err := r.Run(t.Context(), workloads.RunOptions{OnFirst: func() { called++ }})
				require.NoError(t, err)
				require.Equal(t, 1, called)
				_, err = w.Verify(run.Output)
				require.NoError(t, err)
				require.Positive(t, run.First)
				require.Positive(t, run.Executor[0])
				got := run.Tensors[vqa.LogitsPerImage]
				if first == nil {
					first = got
				}
				require.Equal(t, first, got, "%s %T", url, policy)
			}
		}
	}
}

// TestChangedWeight holds that one weight of another value is seen.
func TestChangedWeight(t *testing.T) {
	w, err := vqa.Load(testdata, workloads.Tiny, 1)
	require.NoError(t, err)
	from, err := w.Dir(t.Context(), nil)
	require.NoError(t, err)
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		if name == "model.safetensors" {
			change(t, filepath.Join(from, name), content, "visual_projection.weight")
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run, err := open(t, w, dir, "local:", semantic.Full()).Run(t.Context(), workloads.RunOptions{})
	require.NoError(t, err)
	_, err = w.Verify(run.Output)
	require.ErrorIs(t, err, workloads.ErrMismatch)
}

// change adds 1 to the first element of a tensor in the content of a file.
func change(t *testing.T, path string, content []byte, tensor string) {
	t.Helper()
	f, err := safetensors.Open(path)
	require.NoError(t, err)
	defer f.Close()
	x, ok := f.Tensor(tensor)
	require.True(t, ok)
	at := -1
	for i := 0; i+len(x.Data) <= len(content) && at < 0; i++ {
		if string(content[i:i+len(x.Data)]) == string(x.Data) {
			at = i
		}
	}
	require.NotEqual(t, -1, at)
	v := math.Float32frombits(binary.LittleEndian.Uint32(content[at:]))
	binary.LittleEndian.PutUint32(content[at:], math.Float32bits(v+1))
}

func TestLoadRefuses(t *testing.T) {
	_, err := vqa.Load(testdata, workloads.Tiny, 99)
	require.ErrorIs(t, err, workloads.ErrReference)
	_, err = vqa.Load(testdata, workloads.Tiny, 0)
	require.ErrorIs(t, err, workloads.ErrReference)
	_, err = vqa.Load(t.TempDir(), workloads.Tiny, 1)
	require.ErrorIs(t, err, workloads.ErrReference)
	w, err := vqa.Load(testdata, workloads.Tiny, 1)
	require.NoError(t, err)
	_, err = w.Verify(workloads.Output{})
	require.ErrorIs(t, err, workloads.ErrMismatch)
}

// TestSeeded verifies the scale that GENIE_SCALE asks for, small or full, whose
// checkpoint is made at first use: 0.1 to 1.7 GB.
func TestSeeded(t *testing.T) {
	scale, err := workloads.ScaleFromEnv()
	require.NoError(t, err)
	if os.Getenv(workloads.EnvScale) == "" || scale == workloads.Tiny {
		t.Skipf("set %s to small or full", workloads.EnvScale)
	}
	for _, batch := range vqa.Batches(scale) {
		w, err := vqa.Load(testdata, scale, batch)
		require.NoError(t, err)
		dir, err := w.Dir(t.Context(), nil)
		require.NoError(t, err)
		run, err := open(t, w, dir, "local:", semantic.Full()).Run(t.Context(), workloads.RunOptions{})
		require.NoError(t, err)
		worst, err := w.Verify(run.Output)
		require.NoError(t, err)
		t.Logf("%v: %d items, first after %v, max-abs-err %.3g", w.ID(), run.Items, run.First, worst)
	}
}
