package checkpoint_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/genie"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/workloads/checkpoint"
)

func floats(v ...float32) []byte {
	var out []byte
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func weight(name string, t plan.DType, data []byte, shape ...int) transport.Weight {
	return transport.Weight{Name: name, Storage: t, Shape: shape, Data: data}
}

// written is a model directory with an inner model of two tensors, and a third.
func written(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "model")
	require.NoError(t, checkpoint.Write(t.Context(), dir, map[string]any{"model_type": "mine", "size": 3, "half": 0.5, "labels": nil},
		weight("inner.w", lazy.F32, floats(1, 2, 3), 3, 1),
		weight("inner.layers.0.b", plan.BF16, []byte{0x80, 0x3f}, 1), // 1
		weight("counter", lazy.I64, make([]byte, 8)),
	))
	return dir
}

type config struct {
	Size int
	Half float64
}

func parse(text []byte) (c config, err error) {
	file, err := checkpoint.ParseConfig(text)
	if err != nil {
		return c, err
	}
	if err := checkpoint.CheckType(file, "mine"); err != nil {
		return c, err
	}
	r := file.Reader()
	r.Int("size", &c.Size)
	r.Float("half", &c.Half)
	r.Int("labels", &c.Size)
	return c, r.Err()
}

type model struct {
	y     *lazy.Tensor
	files *checkpoint.Model
	t     *checkpoint.Tensors
}

func capture(files *checkpoint.Model, c config) (*model, error) {
	g := files.NewGraph("mine")
	t := files.Tensors(g, "inner.")
	x := g.Input("x", lazy.F32, "n", c.Size)
	y := g.Output("y", lazy.Linear(x, t.Weight("w", c.Size, 1), t.WeightAs("bias", "inner.layers.0.b", 1)))
	if err := t.Err(); err != nil {
		return nil, err
	}
	t.WarnUnused(func(string) bool { return true })
	return &model{y, files, t}, g.Err()
}

// TestLoad: a directory that was written is loaded into a program and computed with.
func TestLoad(t *testing.T) {
	var log bytes.Buffer
	dir := written(t)
	m, err := checkpoint.Load(t.Context(), dir, checkpoint.Options{Hashes: "off", Logger: slog.New(slog.NewTextHandler(&log, nil))}, parse, capture)
	require.NoError(t, err)
	require.Contains(t, log.String(), "counter", "nothing used it")
	require.Equal(t, []string{"counter"}, m.t.Unused())
	require.Equal(t, "model", m.y.Graph().Model())
	require.Len(t, m.files.Names(), 3)
	found, ok := m.t.Find("w")
	require.True(t, ok)
	require.Equal(t, "inner.w", found)
	_, ok = m.t.Find("v")
	require.False(t, ok)
	client, err := genie.Open(t.Context(), "local:")
	require.NoError(t, err)
	defer client.Close()
	s, err := client.NewSession(t.Context())
	require.NoError(t, err)
	out, err := s.Run(t.Context(), genie.Feed{"x": genie.Float32s([]float32{1, 10, 100, 0, 0, 0}, 2, 3)}, m.y)
	require.NoError(t, err)
	got, err := out[0].Float32s(t.Context())
	require.NoError(t, err)
	require.InDeltaSlice(t, []float32{322, 1}, got, 1e-4)
	require.NoError(t, m.files.Close())
	require.NoError(t, m.files.Close())
	_, err = m.t.Content("again", "inner.w", 3, 1)
	require.ErrorIs(t, err, checkpoint.ErrClosed)
}

// TestTypedErrors: what is wrong with a directory has a cause, and the text names it.
func TestTypedErrors(t *testing.T) {
	load := func(dir string, c func(files *checkpoint.Model, c config) (*model, error)) error {
		_, err := checkpoint.Load(t.Context(), dir, checkpoint.Options{Hashes: "off"}, parse, c)
		return err
	}
	with := func(name string, shape ...int) func(files *checkpoint.Model, c config) (*model, error) {
		return func(files *checkpoint.Model, _ config) (*model, error) {
			tensors := files.Tensors(files.NewGraph("wrong"), "inner.")
			require.Nil(t, tensors.Weight(name, shape...))
			require.Nil(t, tensors.Weight("w", 3, 1), "the first error sticks")
			return nil, tensors.Err()
		}
	}
	config := func(text string) string {
		dir := written(t)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(text), 0o600))
		return dir
	}
	for _, tt := range []struct {
		name  string
		err   error
		cause error
		says  string
	}{
		{"no directory", load(filepath.Join(t.TempDir(), "none"), capture), checkpoint.ErrMissingFile, "none"},
		{"no tensor", load(written(t), with("v", 3)), checkpoint.ErrMissingTensor, "inner.v"},
		{"another shape", load(written(t), with("w", 3, 2)), checkpoint.ErrTensorShape, "inner.w"},
		{"no shape", load(written(t), with("w", -1, 1)), checkpoint.ErrTensorShape, "inner.w"},
		{"integers", load(written(t), func(files *checkpoint.Model, _ config2) (*model, error) {
			tensors := files.Tensors(files.NewGraph("wrong"), "")
			tensors.Weight("counter")
			return nil, tensors.Err()
		}), checkpoint.ErrTensorShape, "counter"},
		{"another family", load(config(`{"model_type": "yours"}`), capture), checkpoint.ErrFamily, "yours"},
		{"no JSON", load(config(`{`), capture), checkpoint.ErrCorrupt, "config.json"},
		{"a wrong type", load(config(`{"model_type": "mine", "size": "three"}`), capture), checkpoint.ErrType, "size"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.ErrorIs(t, tt.err, tt.cause)
			require.ErrorContains(t, tt.err, tt.says)
		})
	}
}

type config2 = config

// TestWriteRefuses: what cannot be written is an error, and leaves no model.
func TestWriteRefuses(t *testing.T) {
	for name, w := range map[string][]transport.Weight{
		"bytes":    {weight("w", lazy.F32, make([]byte, 4), 2)},
		"type":     {weight("w", plan.Invalid, nil, 0)},
		"no name":  {weight("", lazy.F32, make([]byte, 4))},
		"two":      {weight("w", lazy.F32, make([]byte, 4)), weight("w", lazy.F32, make([]byte, 4))},
		"negative": {weight("w", lazy.F32, nil, -1)},
	} {
		dir := t.TempDir()
		require.ErrorIs(t, checkpoint.Write(t.Context(), dir, nil, w...), checkpoint.ErrWrite, name)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Empty(t, entries, name)
	}
	require.ErrorIs(t, checkpoint.Write(t.Context(), t.TempDir(), math.Inf(1)), checkpoint.ErrWrite)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, checkpoint.Write(ctx, t.TempDir(), nil, weight("w", lazy.F32, make([]byte, 4))), context.Canceled)
}
