package models_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

var _ worker.WeightFinder = (*models.Folder)(nil)

// copyModel puts a checkpoint of testdata into a folder of its own.
func copyModel(t *testing.T, from, to string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(to, 0o700))
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join("../../testdata/gpt2", from, name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(to, name), b, 0o600))
	}
}

func open(t *testing.T, dir string) *models.Folder {
	t.Helper()
	f, err := models.Open(context.Background(), dir, checkpoint.Options{Hashes: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func TestFindsByContent(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"basic", "bf16", "fp16"} {
		copyModel(t, name, filepath.Join(dir, name))
	}
	f := open(t, dir)
	for name, storage := range map[string]plan.DType{"basic": plan.F32, "bf16": plan.BF16, "fp16": plan.F16} {
		m, err := checkpoint.Open(filepath.Join(dir, name), checkpoint.Options{})
		require.NoError(t, err)
		var wg sync.WaitGroup
		for _, tensor := range m.Names() {
			h, err := m.Hash(tensor)
			require.NoError(t, err)
			wg.Go(func() {
				w, err := f.Find(t.Context(), name, h)
				if err != nil || w.Storage != storage || transport.HashWeight(w.Storage, w.Shape, w.Data) != h {
					t.Errorf("%s %s: %v, content %v of %v", name, tensor, err, w.Name, w.Storage)
				}
			})
		}
		wg.Wait()
		require.NoError(t, m.Close())
	}
	_, err := f.Find(t.Context(), "basic", plan.Hash{1})
	require.ErrorIs(t, err, transport.ErrMissingWeight)
	require.NoError(t, f.Close())
	require.NoError(t, f.Close())
	_, err = f.Find(t.Context(), "basic", plan.Hash{1})
	require.ErrorIs(t, err, transport.ErrClosed)
}

func TestNames(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "models")
	copyModel(t, "basic", filepath.Join(top, "outside"))
	copyModel(t, "basic", filepath.Join(dir, "inside"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "empty"), 0o700))
	require.NoError(t, os.Symlink("inside", filepath.Join(dir, "alias")))
	require.NoError(t, os.Symlink(filepath.Join(top, "outside"), filepath.Join(dir, "escape")))
	require.NoError(t, os.Symlink("../outside", filepath.Join(dir, "climb")))
	m, err := checkpoint.Open(filepath.Join(dir, "inside"), checkpoint.Options{})
	require.NoError(t, err)
	defer m.Close()
	h, err := m.Hash(m.Names()[0])
	require.NoError(t, err)
	f := open(t, dir)
	for _, name := range []string{"inside", "alias"} {
		_, err := f.Find(t.Context(), name, h)
		require.NoError(t, err, name)
	}
	for _, name := range []string{"", ".", "..", "../outside", "inside/", "./inside", "a/../inside", "/etc", `a\b`, "a\x00b"} {
		_, err := f.Find(t.Context(), name, h)
		require.ErrorIs(t, err, models.ErrName, name)
	}
	for _, name := range []string{"escape", "climb"} {
		_, err := f.Find(t.Context(), name, h)
		require.ErrorContains(t, err, "escapes", name)
	}
	for _, name := range []string{"nothing", "file"} {
		_, err := f.Find(t.Context(), name, h)
		require.ErrorIs(t, err, transport.ErrMissingWeight, name)
	}
	_, err = f.Find(t.Context(), "empty", h)
	require.ErrorIs(t, err, checkpoint.ErrMissingFile)

	// What could not be opened is tried again.
	copyModel(t, "basic", filepath.Join(dir, "nothing"))
	_, err = f.Find(t.Context(), "nothing", h)
	require.NoError(t, err)
}

func TestOpenNothing(t *testing.T) {
	_, err := models.Open(context.Background(), filepath.Join(t.TempDir(), "absent"), checkpoint.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

// TestFindWaitsNoLongerThanItsContext: the hashing of a model continues for the
// next caller, once, and Close does not wait for all of it.
func TestFindWaitsNoLongerThanItsContext(t *testing.T) {
	dir := t.TempDir()
	copyModel(t, "basic", filepath.Join(dir, "m"))
	hash := contentOf(t, filepath.Join(dir, "m"), "")
	gate, hashing := make(chan struct{}), make(chan struct{})
	var once sync.Once
	last, anew := int64(0), 0
	f, err := models.Open(t.Context(), dir, checkpoint.Options{Hashes: checkpoint.HashesNowhere, Workers: 1, Progress: func(done, _ int64) {
		once.Do(func() { close(hashing) })
		<-gate
		if done <= last {
			anew++
		}
		last = done
	}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	go func() {
		<-hashing
		cancel(gone)
	}()
	_, err = f.Find(ctx, "m", hash)
	require.ErrorIs(t, err, gone)
	found := make(chan error)
	for range 3 {
		go func() {
			_, err := f.Find(t.Context(), "m", hash)
			found <- err
		}()
	}
	close(gate)
	for range 3 {
		require.NoError(t, <-found)
	}
	require.NoError(t, f.Close())
	require.Zero(t, anew, "it was hashed once")
}
