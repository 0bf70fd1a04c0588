package onnx_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/lazy/onnx"
)

// modelsEnv names the folder to which testdata/scripts/onnx_models.py wrote models
// from packages of public registries; pythonEnv names a Python with onnxruntime.
const (
	modelsEnv = "GENIE_ONNX_MODELS"
	pythonEnv = "GENIE_PYTHON"
)

func publishedModels(t testing.TB) []*modelCase {
	t.Helper()
	dir := os.Getenv(modelsEnv)
	if dir == "" {
		t.Skipf("needs models: python testdata/scripts/onnx_models.py cases DIR && %s=DIR go test ./lazy/onnx -run Models", modelsEnv)
	}
	return modelCases(t, dir)
}

// sizes fixes the dimensions of a run's inputs: publishers leave sizes open that
// their operators do not, or give two of them one name.
func (c *modelCase) sizes(t testing.TB, r *modelRun) []onnx.Option {
	t.Helper()
	opts := []onnx.Option{onnx.WithoutCarries()}
	for name, file := range r.Inputs {
		var dims []any
		for _, n := range c.array(t, file).Shape {
			dims = append(dims, n)
		}
		opts = append(opts, onnx.WithInput(name, dims...))
	}
	return opts
}

// TestModels runs published models whole, in this process and on a worker, and
// compares their outputs with those of ONNX Runtime.
func TestModels(t *testing.T) {
	cases := publishedModels(t)
	sessions := executors(t)
	for _, c := range cases {
		for i := range c.Runs {
			r := &c.Runs[i]
			p := c.open(t, r, c.sizes(t, r)...)
			for name, s := range sessions {
				t.Run(c.name+"/"+name, func(t *testing.T) { c.check(t, s, p, r) })
			}
		}
	}
}

// BenchmarkModels times a run of each published model, inputs and outputs in host
// memory, and the same run of ONNX Runtime, both with two threads.
func BenchmarkModels(b *testing.B) {
	cases := publishedModels(b)
	client, err := genie.Open(b.Context(), "local:", genie.WithThreads(2))
	require.NoError(b, err)
	defer func() { require.NoError(b, client.Close()) }()
	peer := startRuntime(b)
	for _, c := range cases {
		r := &c.Runs[0]
		p := c.open(b, r, c.sizes(b, r)...)
		feed := c.feed(b, p, r)
		var outputs []*lazy.Tensor
		for name := range r.Outputs {
			outputs = append(outputs, p.Output(name))
		}
		s, err := client.NewSession(b.Context())
		require.NoError(b, err)
		_, err = s.Run(b.Context(), feed, outputs...) // loads the weights, as a session of ONNX Runtime has
		require.NoError(b, err)
		b.Run(benchname.Of("onnx", "genie", "model="+c.name), func(b *testing.B) {
			for b.Loop() {
				got, err := s.Run(b.Context(), feed, outputs...)
				require.NoError(b, err)
				_, err = got[0].Tensor(b.Context())
				require.NoError(b, err)
			}
		})
		require.NoError(b, s.Close())
		if peer == nil {
			continue
		}
		b.Run(benchname.Of("onnx", "onnxruntime", "model="+c.name), func(b *testing.B) {
			took := peer.run(b, c.name, b.N)
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/op")
		})
	}
}

// runtime is a process that runs models with ONNX Runtime.
type runtime struct {
	in  io.Writer
	out *bufio.Reader
}

// startRuntime is nil without a Python.
func startRuntime(b *testing.B) *runtime {
	b.Helper()
	python := os.Getenv(pythonEnv)
	if python == "" {
		b.Logf("%s names no Python with onnxruntime: only this module is timed", pythonEnv)
		return nil
	}
	script, err := filepath.Abs("../../testdata/scripts/onnx_models.py")
	require.NoError(b, err)
	cmd := exec.Command(python, script, "time", os.Getenv(modelsEnv))
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	cmd.Stderr = os.Stderr
	require.NoError(b, cmd.Start())
	b.Cleanup(func() {
		require.NoError(b, in.Close())
		require.NoError(b, cmd.Wait(), "the time of ONNX Runtime")
	})
	return &runtime{in, bufio.NewReader(out)}
}

func (r *runtime) run(b *testing.B, name string, n int) time.Duration {
	b.Helper()
	_, err := fmt.Fprintln(r.in, name, n)
	require.NoError(b, err)
	line, err := r.out.ReadString('\n')
	require.NoError(b, err)
	seconds, err := strconv.ParseFloat(strings.TrimSpace(line), 64)
	require.NoError(b, err)
	return time.Duration(seconds * float64(time.Second))
}
