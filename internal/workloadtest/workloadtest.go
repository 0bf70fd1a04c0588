// Package workloadtest contains the common tests of the evaluation's workloads
// with floating-point outputs.
package workloadtest

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/safetensors"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/workloads"
)

// Testdata is where references are, seen from a workload's package.
const Testdata = "../../testdata"

// Suite is one workload.
type Suite struct {
	Load    func(testdata string, scale workloads.Scale, batch int) (workloads.Workload, error)
	Batches func(workloads.Scale) []int
	Tiny    workloads.ID // of the tiny scale; its batch is ignored
	Output  string       // the tensor whose bits are the same everywhere
	Weight  string       // one that the output depends on
}

// Open opens a program of a workload on an executor, until the test ends.
func Open(t testing.TB, w workloads.Workload, dir, url string, policy semantic.Policy) workloads.Runner {
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

// load is a workload with the directory of its checkpoint.
func (s Suite) load(t *testing.T, scale workloads.Scale, batch int) (workloads.Workload, string) {
	t.Helper()
	w, err := s.Load(Testdata, scale, batch)
	require.NoError(t, err)
	dir, err := w.Dir(t.Context(), nil)
	require.NoError(t, err)
	return w, dir
}

// Run runs the tiny scale in-process and on workers, under each policy, and
// compares with transformers' results.
func (s Suite) Run(t *testing.T) {
	worker := workertest.Start(t, nil)
	for _, batch := range append(s.Batches(workloads.Tiny), 4) {
		w, dir := s.load(t, workloads.Tiny, batch)
		id := s.Tiny
		id.Scale, id.Batch = workloads.Tiny, batch
		require.Equal(t, id, w.ID())
		for name, in := range w.Inputs() {
			require.Len(t, in.Data, in.Elements()*in.DType.Size(), name)
		}
		var first []float32
		for _, url := range []string{"local:", "tcp://" + worker.TCP, "grpc://" + worker.GRPC} {
			for _, policy := range []semantic.Policy{semantic.Blind(), semantic.Resident(), semantic.Full()} {
				called := 0
				run, err := Open(t, w, dir, url, policy).Run(t.Context(), workloads.RunOptions{OnFirst: func() { called++ }})
				require.NoError(t, err)
				require.Equal(t, 1, called)
				_, err = w.Verify(run.Output)
				require.NoError(t, err)
				require.Positive(t, run.First)
				require.Positive(t, run.Executor[0])
				got := run.Tensors[s.Output]
				require.NotEmpty(t, got)
				if first == nil {
					first = got
				}
				require.Equal(t, first, got, "%s %T", url, policy)
			}
		}
	}
}

// ChangedWeight checks that one changed weight is detected.
func (s Suite) ChangedWeight(t *testing.T) {
	w, from := s.load(t, workloads.Tiny, 1)
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		content, err := os.ReadFile(filepath.Join(from, name))
		require.NoError(t, err)
		if name == "model.safetensors" {
			change(t, filepath.Join(from, name), content, s.Weight)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	run, err := Open(t, w, dir, "local:", semantic.Full()).Run(t.Context(), workloads.RunOptions{})
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

// Refuses checks that a workload without a reference does not load, and that an
// empty output does not verify.
func (s Suite) Refuses(t *testing.T) {
	_, err := s.Load(Testdata, workloads.Tiny, 99)
	require.ErrorIs(t, err, workloads.ErrReference)
	_, err = s.Load(Testdata, workloads.Tiny, 0)
	require.ErrorIs(t, err, workloads.ErrReference)
	_, err = s.Load(t.TempDir(), workloads.Tiny, 1)
	require.ErrorIs(t, err, workloads.ErrReference)
	w, err := s.Load(Testdata, workloads.Tiny, 1)
	require.NoError(t, err)
	_, err = w.Verify(workloads.Output{})
	require.ErrorIs(t, err, workloads.ErrMismatch)
}

// RandomWeights verifies the scale that GENIE_SCALE selects, small or full,
// whose checkpoint is generated at first use: 0.1 to 1.7 GB.
func (s Suite) RandomWeights(t *testing.T) {
	scale, err := workloads.ScaleFromEnv()
	require.NoError(t, err)
	if os.Getenv(workloads.EnvScale) == "" || scale == workloads.Tiny {
		t.Skipf("set %s to small or full", workloads.EnvScale)
	}
	for _, batch := range s.Batches(scale) {
		w, dir := s.load(t, scale, batch)
		run, err := Open(t, w, dir, "local:", semantic.Full()).Run(t.Context(), workloads.RunOptions{MaxBatches: 1})
		require.NoError(t, err)
		worst, err := w.Verify(run.Output)
		require.NoError(t, err)
		t.Logf("%v: %d items, first after %v, max-abs-err %.3g", w.ID(), run.Items, run.First, worst)
	}
}
