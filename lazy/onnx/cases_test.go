package onnx_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/onnx"
	"github.com/genie-sdk/go/transport"
)

// modelCase is a whole model with inputs and the outputs of another
// implementation, as testdata/scripts/onnx_exports.py and onnx_models.py write it.
type modelCase struct {
	From  string     `json:"from"`
	Model string     `json:"model"` // path, beside case.json by default
	Runs  []modelRun `json:"runs"`

	name, dir string
}

type modelRun struct {
	Inputs, Outputs map[string]string // files by name
}

// modelCases are the cases below a folder.
func modelCases(t testing.TB, root string) []*modelCase {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "*", "case.json"))
	require.NoError(t, err)
	require.NotEmpty(t, files, "cases in %s", root)
	out := make([]*modelCase, len(files))
	for i, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		c := &modelCase{Model: "model.onnx", dir: filepath.Dir(f), name: filepath.Base(filepath.Dir(f))}
		require.NoError(t, json.Unmarshal(b, c), f)
		require.NotEmpty(t, c.Runs, f)
		out[i] = c
	}
	return out
}

func (c *modelCase) array(t testing.TB, file string) transport.Tensor {
	t.Helper()
	f, err := os.Open(filepath.Join(c.dir, file))
	require.NoError(t, err)
	defer f.Close()
	x, err := npy.Read(f, 1<<30)
	require.NoError(t, err, file)
	return x
}

func (c *modelCase) open(t testing.TB, r *modelRun, opts ...onnx.Option) *onnx.Program {
	t.Helper()
	path := c.Model
	if !filepath.IsAbs(path) {
		path = filepath.Join(c.dir, path)
	}
	for name, file := range r.Inputs {
		opts = append(opts, onnx.WithShapeValue(name, c.array(t, file)))
	}
	p, err := onnx.Open(t.Context(), path, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// feed is the inputs of a run, without those whose content became constant.
func (c *modelCase) feed(t testing.TB, p *onnx.Program, r *modelRun) genie.Feed {
	t.Helper()
	feed := genie.Feed{}
	for name, file := range r.Inputs {
		if !slices.Contains(p.Fixed(), name) {
			feed[name] = genie.FromTensor(c.array(t, file))
		}
	}
	return feed
}

// check computes all outputs of a run and compares them to within 1e-4, absolute
// and relative.
func (c *modelCase) check(t *testing.T, s *genie.Session, p *onnx.Program, r *modelRun) {
	t.Helper()
	var names []string
	var outputs []*lazy.Tensor
	for name := range r.Outputs {
		names, outputs = append(names, name), append(outputs, p.Output(name))
	}
	got, err := s.Run(t.Context(), c.feed(t, p, r), outputs...)
	require.NoError(t, err)
	for i, name := range names {
		x, err := got[i].Tensor(t.Context())
		require.NoError(t, err)
		require.Empty(t, farFrom(x, c.array(t, r.Outputs[name])), name)
	}
}

// farFrom says where got differs from want by more than 1e-4, absolute and
// relative; empty if nowhere.
func farFrom(got, want transport.Tensor) string {
	if got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) {
		return fmt.Sprintf("%v%d, want %v%d", got.DType, got.Shape, want.DType, want.Shape)
	}
	a, b := values(got), values(want)
	for i, w := range b {
		if !(math.Abs(a[i]-w) <= 1e-4+1e-4*math.Abs(w)) {
			return fmt.Sprintf("element %d of %d is %v, want %v", i, len(b), a[i], w)
		}
	}
	return ""
}

// executors are a session in this process and one on a worker.
func executors(t *testing.T) map[string]*genie.Session {
	t.Helper()
	w := workertest.Start(t, nil)
	out := map[string]*genie.Session{}
	for name, url := range map[string]string{"local": "local:", "worker": "tcp://" + w.TCP} {
		client, err := genie.Open(t.Context(), url)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		s, err := client.NewSession(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		out[name] = s
	}
	return out
}
