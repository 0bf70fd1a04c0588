package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/npy"
	"github.com/genie-sdk/go/internal/onnxfile/onnxtest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// linear is y = x*w + b of x [n, 2], and shape, which reshapes y.
func linear(t *testing.T, dir string) string {
	t.Helper()
	m := onnxtest.Model(17,
		onnxtest.Input("x", 1, "n", 2), onnxtest.Input("to", 7, 1), onnxtest.Output("y", 1, "n", 2), onnxtest.Output("flat", 1, nil),
		onnxtest.Initializer(onnxtest.Tensor("w", 1, []int{2, 2}, onnxtest.Floats(1, 2, 3, 4))),
		onnxtest.Initializer(onnxtest.External("b", 1, []int{2}, "location", "b.bin")),
		onnxtest.Node("Gemm", []string{"x", "w", "b"}, []string{"y"}), onnxtest.Node("Reshape", []string{"y", "to"}, []string{"flat"}))
	path := filepath.Join(dir, "linear.onnx")
	require.NoError(t, os.WriteFile(path, m, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "b.bin"), onnxtest.Floats(10, 20), 0o600))
	return path
}

func saved(t *testing.T, dir, name string, x transport.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, npy.Write(&b, x))
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// TestRun runs an ONNX model here and on a worker.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	model := linear(t, dir)
	x := saved(t, dir, "x.npy", transport.Tensor{DType: plan.F32, Shape: []int{3, 2}, Data: onnxtest.Floats(1, 0, 0, 1, 1, 1)})
	to := saved(t, dir, "to.npy", transport.Tensor{DType: plan.I64, Shape: []int{1}, Data: onnxtest.Ints(-1)})
	worker := startChild(t, anyTCP())
	for _, executor := range []string{"local:", worker.urls[0]} {
		y := filepath.Join(dir, "y.npy")
		args := []string{"run", "--model", model, "--input", "x=" + x, "--input", "to=" + to, "--executor", executor}
		r := decode[modelReport](t, append(args, "--output", "y="+y, "--output", "flat", "--json")...)
		require.Equal(t, []string{"to"}, r.Fixed)
		require.Equal(t, []int{6}, r.Outputs[1].Shape)
		require.Equal(t, []any{11.0, 22.0, 13.0, 24.0, 14.0, 26.0}, r.Outputs[1].First)
		require.Equal(t, executor != "local:", r.RemoteOps > 0)
		f, err := os.Open(y)
		require.NoError(t, err)
		got, err := npy.Read(f, 1<<20)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.Equal(t, []int{3, 2}, got.Shape)
		require.Equal(t, onnxtest.Floats(11, 22, 13, 24, 14, 26), got.Data)

		text := cli(t, args...)
		require.Zero(t, text.code, text.stderr)
		require.Contains(t, text.stdout, "y f32[3, 2]: 11 22 13 24 14 26")
		require.Contains(t, text.stdout, "flat f32[6]: 11")
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	model := linear(t, dir)
	x := saved(t, dir, "x.npy", transport.Tensor{DType: plan.F32, Shape: []int{1, 2}, Data: onnxtest.Floats(1, 2)})
	wide := saved(t, dir, "wide.npy", transport.Tensor{DType: plan.F32, Shape: []int{1, 3}, Data: onnxtest.Floats(1, 2, 3)})
	whole := saved(t, dir, "whole.npy", transport.Tensor{DType: plan.I64, Shape: []int{1}, Data: onnxtest.Ints(-1)})
	text := filepath.Join(dir, "text.npy")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	strange := filepath.Join(dir, "strange.onnx")
	require.NoError(t, os.WriteFile(strange, onnxtest.Model(17, onnxtest.Input("x", 1, 2), onnxtest.Output("y", 1, 2), onnxtest.Node("NoSuchThing", []string{"x"}, []string{"y"})), 0o600))
	tests := []struct {
		name, want string
		code       int
		args       []string
	}{
		{"no model", "--model is missing", 2, nil},
		{"no such model", "no such file", 1, []string{"--model", filepath.Join(dir, "none.onnx")}},
		{"no model at all", "malformed ONNX file", 1, []string{"--model", text}},
		{"an operator", "NoSuchThing", 1, []string{"--model", strange}},
		{"an input is missing", "--input x=FILE.npy", 2, []string{"--model", model, "--input", "to=" + whole}},
		{"the input of a shape is missing", `depends on the values of input "to"`, 1, []string{"--model", model, "--input", "x=" + x}},
		{"no such input", `no input "z"`, 2, []string{"--model", model, "--input", "z=" + x}},
		{"no such output", "it has y, flat", 2, []string{"--model", model, "--input", "x=" + x, "--input", "to=" + whole, "--output", "z"}},
		{"no such file", "no such file", 1, []string{"--model", model, "--input", "x=" + filepath.Join(dir, "none.npy")}},
		{"no array", "not a readable .npy file", 1, []string{"--model", model, "--input", "x=" + text}},
		{"a shape that does not fit", "Gemm", 1, []string{"--model", model, "--input", "x=" + wide, "--input", "to=" + whole}},
		{"a type that does not fit", "f32, not int64", 2, []string{"--model", model, "--input", "x=" + x, "--input", "to=" + x}},
		{"no pair", "NAME=FILE.npy", 2, []string{"--model", model, "--input", x}},
		{"twice", "given twice", 2, []string{"--model", model, "--input", "x=" + x, "--input", "x=" + x}},
		{"nowhere to write", "no such file", 1, []string{"--model", model, "--input", "x=" + x, "--output", "y=" + filepath.Join(dir, "none", "y.npy")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := cli(t, append([]string{"run"}, tt.args...)...)
			require.Equal(t, tt.code, r.code, r.stderr)
			require.Contains(t, r.stderr, tt.want)
		})
	}
	failed := cli(t, "run", "--model", strange, "--json")
	require.Contains(t, failed.stdout, `"code": "not_importable"`)
}

func TestExplainONNX(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	require.NoError(t, os.WriteFile(path, onnxtest.Model(17, onnxtest.Input("x", 1, "batch", 4), onnxtest.Output("y", 1, "batch", 4),
		onnxtest.Node("Softmax", []string{"x"}, []string{"y"})), 0o600))
	r := cli(t, "explain", path, "--dim", "batch=3")
	require.Zero(t, r.code, r.stderr)
	require.Contains(t, r.stdout, "softmax")
	require.Contains(t, r.stdout, "batch=3")
	same := cli(t, "explain", "--model", path, "--dim", "batch=3")
	require.Equal(t, r.stdout, same.stdout)
	for _, args := range [][]string{{path}, {path, "--dim", "batch"}, {path, "--dim", "batch=3", "--dim", "n=1"}, {path, "--batch", "3"}, {"--model", basic, "--dim", "batch=3"}, {"nothing"}} {
		r := cli(t, append([]string{"explain"}, args...)...)
		require.Equal(t, 2, r.code, "%s: %s", strings.Join(args, " "), r.stderr)
	}
}
