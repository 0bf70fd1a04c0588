package models_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// later is a time at which files that were just written are old.
func later() time.Time { return time.Now().Add(time.Hour) }

// contentOf is the hash of a tensor that the checkpoint in dir has and the one
// in but has not.
func contentOf(t *testing.T, dir, but string) plan.Hash {
	t.Helper()
	m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: t.TempDir()})
	require.NoError(t, err)
	defer func() { _ = m.Close() }()
	var have map[plan.Hash]bool
	if but != "" {
		o, err := checkpoint.Open(but, checkpoint.Options{Hashes: t.TempDir()})
		require.NoError(t, err)
		defer func() { _ = o.Close() }()
		have = map[plan.Hash]bool{}
		for _, name := range o.Names() {
			h, err := o.Hash(name)
			require.NoError(t, err)
			have[h] = true
		}
	}
	for _, name := range m.Names() {
		h, err := m.Hash(name)
		require.NoError(t, err)
		if !have[h] {
			return h
		}
	}
	t.Fatal("the checkpoints have the same content")
	return plan.Hash{}
}

// TestLinkedFiles links single files of a model to places outside: they are
// neither read nor written.
func TestLinkedFiles(t *testing.T) {
	top := t.TempDir()
	dir, outside := filepath.Join(top, "models"), filepath.Join(top, "outside")
	copyModel(t, "bf16", outside)
	secret := contentOf(t, outside, "")
	link := func(name, file, to string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
		_ = os.Remove(filepath.Join(dir, name, file))
		require.NoError(t, os.Symlink(to, filepath.Join(dir, name, file)))
	}
	for _, file := range []string{"config.json", "model.safetensors"} {
		for name, to := range map[string]string{"absolute-" + file: filepath.Join(outside, file), "relative-" + file: "../../outside/" + file} {
			copyModel(t, "basic", filepath.Join(dir, name))
			link(name, file, to)
		}
	}
	f := open(t, dir)
	for _, name := range []string{"absolute-config.json", "relative-config.json", "absolute-model.safetensors", "relative-model.safetensors"} {
		_, err := f.Find(t.Context(), name, secret)
		require.ErrorContains(t, err, "leaves", name)
	}

	// The file of stored hashes, to be read from elsewhere and written there.
	copyModel(t, "basic", filepath.Join(dir, "hashes"))
	stored := filepath.Join(outside, "stored.json")
	require.NoError(t, os.WriteFile(stored, []byte("before"), 0o600))
	link("hashes", "genie-hashes.json", "../../outside/stored.json")
	beside, err := models.Open(t.Context(), dir, checkpoint.Options{Hashes: checkpoint.HashesBeside, Now: later})
	require.NoError(t, err)
	defer beside.Close()
	_, err = beside.Find(t.Context(), "hashes", contentOf(t, "../../testdata/gpt2/basic", ""))
	require.NoError(t, err)
	text, err := os.ReadFile(stored)
	require.NoError(t, err)
	require.Equal(t, "before", string(text))

	// A model whose files are elsewhere in the folder, as in a download cache.
	copyModel(t, "fp16", filepath.Join(dir, "blobs"))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "hub", "rev"), 0o700))
	for _, file := range []string{"config.json", "model.safetensors"} {
		require.NoError(t, os.Symlink("../../blobs/"+file, filepath.Join(dir, "hub", "rev", file)))
	}
	require.NoError(t, os.Symlink("hub/rev", filepath.Join(dir, "cached")))
	_, err = f.Find(t.Context(), "cached", contentOf(t, "../../testdata/gpt2/fp16", ""))
	require.NoError(t, err)
}

// TestSwappedLink swaps a link inside the folder for one that leads out of it,
// again and again, while a client asks for content that is outside only.
func TestSwappedLink(t *testing.T) {
	top := t.TempDir()
	dir, outside := filepath.Join(top, "models"), filepath.Join(top, "outside")
	copyModel(t, "basic", filepath.Join(dir, "inside"))
	copyModel(t, "bf16", outside)
	secret := contentOf(t, outside, filepath.Join(dir, "inside"))
	known := contentOf(t, filepath.Join(dir, "inside"), "")
	link := filepath.Join(dir, "model")
	point := func(to string) {
		next := filepath.Join(dir, "next")
		require.NoError(t, os.Symlink(to, next))
		require.NoError(t, os.Rename(next, link))
	}
	point("inside")
	stop := make(chan struct{})
	var swapping sync.WaitGroup
	end := sync.OnceFunc(func() {
		close(stop)
		swapping.Wait()
	})
	defer end()
	swapping.Go(func() {
		for to := []string{"../outside", "inside"}; ; to[0], to[1] = to[1], to[0] {
			select {
			case <-stop:
				return
			default:
				point(to[0])
			}
		}
	})
	for range 300 {
		f := open(t, dir) // one that has opened nothing yet
		w, err := f.Find(t.Context(), "model", secret)
		require.Error(t, err)
		require.Nil(t, w.Data)
		require.NoError(t, f.Close())
	}
	end()

	// A model that is open stays what it was, wherever its link leads now.
	point("inside")
	f := open(t, dir)
	_, err := f.Find(t.Context(), "model", known)
	require.NoError(t, err)
	point("../outside")
	_, err = f.Find(t.Context(), "model", known)
	require.NoError(t, err)
	_, err = f.Find(t.Context(), "model", secret)
	require.ErrorIs(t, err, transport.ErrMissingWeight)
}
