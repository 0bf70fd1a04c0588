package models_test

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint"
	"github.com/genie-sdk/go/internal/models"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// finds asks until the folder looks again, which it does after a short pause.
func finds(t *testing.T, f *models.Folder, name string, hash plan.Hash) transport.Weight {
	t.Helper()
	var w transport.Weight
	require.Eventually(t, func() bool {
		var err error
		w, err = f.Find(t.Context(), name, hash)
		return err == nil
	}, 10*time.Second, 2*time.Millisecond)
	return w
}

// deleted reports whether a deleted file is still mapped.
func deleted(t *testing.T, path string) bool {
	t.Helper()
	if runtime.GOOS != "linux" {
		return false
	}
	maps, err := os.ReadFile("/proc/self/maps")
	require.NoError(t, err)
	return strings.Contains(string(maps), path+" (deleted)")
}

// TestReplacedByRename: a new version is found when its content is requested,
// and the old one is released when its last weight is taken.
func TestReplacedByRename(t *testing.T) {
	dir := t.TempDir()
	copyModel(t, "basic", filepath.Join(dir, "m"))
	copyModel(t, "bf16", filepath.Join(dir, "next"))
	old, renewed := contentOf(t, filepath.Join(dir, "m"), filepath.Join(dir, "next")), contentOf(t, filepath.Join(dir, "next"), filepath.Join(dir, "m"))
	path, err := filepath.EvalSymlinks(filepath.Join(dir, "m", "model.safetensors"))
	require.NoError(t, err)
	f := open(t, dir)
	held, err := f.Find(t.Context(), "m", old)
	require.NoError(t, err)
	_, err = f.Find(t.Context(), "m", renewed)
	require.ErrorIs(t, err, transport.ErrMissingWeight)
	require.NoError(t, os.Rename(filepath.Join(dir, "next", "model.safetensors"), path))
	_, err = f.Find(t.Context(), "m", old)
	require.NoError(t, err, "what is open has it")
	finds(t, f, "m", renewed).Release()
	_, err = f.Find(t.Context(), "m", old)
	require.ErrorIs(t, err, transport.ErrMissingWeight)
	require.Equal(t, held.Hash, transport.HashWeight(held.Storage, held.Shape, held.Data), "what was given out stays")
	held.Release()
	held.Release()
}

func TestReplacedFilesAreUnmapped(t *testing.T) {
	dir := t.TempDir()
	copyModel(t, "basic", filepath.Join(dir, "m"))
	copyModel(t, "bf16", filepath.Join(dir, "next"))
	old, renewed := contentOf(t, filepath.Join(dir, "m"), filepath.Join(dir, "next")), contentOf(t, filepath.Join(dir, "next"), filepath.Join(dir, "m"))
	path := filepath.Join(dir, "m", "model.safetensors")
	f := open(t, dir)
	held, err := f.Find(t.Context(), "m", old)
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, "next", "model.safetensors"), path))
	if runtime.GOOS == "linux" {
		require.True(t, deleted(t, path))
	}
	finds(t, f, "m", renewed).Release()
	if runtime.GOOS == "linux" {
		require.True(t, deleted(t, path), "a weight of it is in use")
	}
	held.Release()
	require.False(t, deleted(t, path))
}

// TestReplacedInPlace: files that were overwritten are hashed again. Half a
// file is not a model, and the previously open files stay in use until there is
// a complete one.
func TestReplacedInPlace(t *testing.T) {
	dir := t.TempDir()
	copyModel(t, "basic", filepath.Join(dir, "m"))
	old, renewed := contentOf(t, filepath.Join(dir, "m"), "../../testdata/gpt2/bf16"), contentOf(t, "../../testdata/gpt2/bf16", filepath.Join(dir, "m"))
	f := open(t, dir)
	w, err := f.Find(t.Context(), "m", old)
	require.NoError(t, err)
	w.Release()
	path := filepath.Join(dir, "m", "model.safetensors")
	text, err := os.ReadFile("../../testdata/gpt2/bf16/model.safetensors")
	require.NoError(t, err)
	for _, part := range []int{0, 100, len(text) / 2} {
		require.NoError(t, os.WriteFile(path, text[:part], 0o600))
		_, err = f.Find(t.Context(), "m", renewed)
		require.ErrorIs(t, err, transport.ErrMissingWeight)
	}
	require.NoError(t, os.WriteFile(path, text, 0o600))
	finds(t, f, "m", renewed).Release()
}

// TestCutShort: a weight of a file that is cut short cannot be read, which is an
// error and no signal; once that was said, the model is looked at again.
func TestCutShort(t *testing.T) {
	for _, left := range []int64{0} {
		dir := t.TempDir()
		copyModel(t, "basic", filepath.Join(dir, "m"))
		hash := contentOf(t, filepath.Join(dir, "m"), "")
		f := open(t, dir)
		_, err := f.Find(t.Context(), "m", hash)
		require.NoError(t, err)
		path := filepath.Join(dir, "m", "model.safetensors")
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.Truncate(path, left))
		w, err := f.Find(t.Context(), "m", hash)
		require.NoError(t, err)
		_, err = w.CopyTo(make([]byte, len(w.Data)), 0)
		require.ErrorIs(t, err, transport.ErrCorrupt)
		require.ErrorContains(t, err, path)
		w.Distrust()
		w.Release()
		_, err = f.Find(t.Context(), "m", hash)
		require.ErrorIs(t, err, checkpoint.ErrCorrupt)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		w = finds(t, f, "m", hash)
		got := make([]byte, len(w.Data))
		_, err = w.CopyTo(got, 0)
		require.NoError(t, err)
		require.Equal(t, hash, transport.HashWeight(w.Storage, w.Shape, got))
		w.Release()
	}
}

// cached puts a checkpoint of testdata into a repository of a download cache, at
// a folder of a revision.
func cached(t *testing.T, from, repo, at string) {
	t.Helper()
	blobs := filepath.Join(repo, "blobs")
	copyModel(t, from, blobs)
	dir := filepath.Join(repo, "snapshots", at)
	require.NoError(t, os.MkdirAll(dir, 0o700))
	for _, name := range []string{"config.json", "model.safetensors"} {
		blob := from + "-" + name
		require.NoError(t, os.Rename(filepath.Join(blobs, name), filepath.Join(blobs, blob)))
		up := strings.Repeat("../", 2+strings.Count(at, "/"))
		require.NoError(t, os.Symlink(up+"blobs/"+blob, filepath.Join(dir, name)))
	}
}

// TestDownloadCache: each folder of a download cache of Hugging Face is a folder
// of models.
func TestDownloadCache(t *testing.T) {
	hub := filepath.Join(t.TempDir(), "hub")
	repo := filepath.Join(hub, "models--x--y")
	cached(t, "basic", repo, "abc123")
	cached(t, "bf16", repo, "def456/text_encoder")
	cached(t, "fp16", filepath.Join(hub, "models--x--z"), "777/text_encoder")
	basic, bf16, fp16 := contentOf(t, "../../testdata/gpt2/basic", ""), contentOf(t, "../../testdata/gpt2/bf16", ""), contentOf(t, "../../testdata/gpt2/fp16", "")
	for dir, want := range map[string]map[string][]plan.Hash{
		hub:                              {"abc123": {basic}, "text_encoder": {bf16, fp16}},
		repo:                             {"abc123": {basic}, "text_encoder": {bf16}},
		filepath.Join(repo, "snapshots"): {"abc123": {basic}, "text_encoder": {bf16}},
		filepath.Join(repo, "snapshots", "def456"): {"text_encoder": {bf16}},
	} {
		var said bytes.Buffer
		f, err := models.Open(t.Context(), dir, checkpoint.Options{Hashes: checkpoint.HashesNowhere, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		require.NoError(t, err)
		for name, hashes := range want {
			for _, h := range hashes {
				w, err := f.Find(t.Context(), name, h)
				require.NoError(t, err, "%s in %s", name, dir)
				w.Release()
			}
		}
		require.Empty(t, said.String(), "all of it is used")
		_, err = f.Find(t.Context(), "nothing", basic)
		require.ErrorIs(t, err, transport.ErrMissingWeight)
		require.NoError(t, f.Close())
		require.NoError(t, f.Close())
		_, err = f.Find(t.Context(), "abc123", basic)
		require.ErrorIs(t, err, transport.ErrClosed)
	}

	// A revision that comes later is found as well.
	f := open(t, hub)
	_, err := f.Find(t.Context(), "later", fp16)
	require.ErrorIs(t, err, transport.ErrMissingWeight)
	cached(t, "fp16", filepath.Join(hub, "models--new"), "later")
	finds(t, f, "later", fp16).Release()
}

// TestRepositoryIsTheBoundary: a link of one cached repository leads neither to
// another one nor out of the cache, though the folder of all is the worker's.
func TestRepositoryIsTheBoundary(t *testing.T) {
	top := t.TempDir()
	hub := filepath.Join(top, "hub")
	cached(t, "basic", filepath.Join(hub, "models--x"), "rev")
	cached(t, "bf16", filepath.Join(hub, "models--secret"), "other")
	cached(t, "bf16", filepath.Join(top, "models--outside"), "other")
	secret := contentOf(t, "../../testdata/gpt2/bf16", "../../testdata/gpt2/basic")
	link := filepath.Join(hub, "models--x", "snapshots", "rev", "model.safetensors")
	for _, to := range []string{
		"../../../models--secret/blobs/bf16-model.safetensors",
		"../../../../models--outside/blobs/bf16-model.safetensors",
		filepath.Join(hub, "models--secret", "blobs", "bf16-model.safetensors"),
	} {
		require.NoError(t, os.Remove(link))
		require.NoError(t, os.Symlink(to, link))
		for _, dir := range []string{hub, filepath.Join(hub, "models--x"), filepath.Join(hub, "models--x", "snapshots")} {
			f := open(t, dir)
			w, err := f.Find(t.Context(), "rev", secret)
			require.ErrorIs(t, err, checkpoint.ErrOutside, "%s from %s", to, dir)
			require.Nil(t, w.Data)
		}
	}
	// A repository that is itself a link is followed within the folder only.
	require.NoError(t, os.Symlink(filepath.Join(top, "models--outside"), filepath.Join(hub, "models--linked")))
	require.NoError(t, os.RemoveAll(filepath.Join(hub, "models--secret")))
	_, err := open(t, hub).Find(t.Context(), "other", secret)
	require.ErrorIs(t, err, transport.ErrMissingWeight)
}

// TestSaidAtWarn: what in a folder is not used is said, with the reason, and a
// model that cannot be opened is said once.
func TestSaidAtWarn(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "models")
	copyModel(t, "basic", filepath.Join(top, "outside"))
	copyModel(t, "basic", filepath.Join(dir, "good"))
	copyModel(t, "basic", filepath.Join(dir, "linked-file"))
	copyModel(t, "basic", filepath.Join(dir, "half"))
	require.NoError(t, os.Truncate(filepath.Join(dir, "half", "model.safetensors"), 99))
	require.NoError(t, os.Remove(filepath.Join(dir, "linked-file", "model.safetensors")))
	require.NoError(t, os.Symlink("../../outside/model.safetensors", filepath.Join(dir, "linked-file", "model.safetensors")))
	require.NoError(t, os.Symlink("../outside", filepath.Join(dir, "linked")))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "empty"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "models--a--b", "refs"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "datasets--a--b"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, ".locks"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stray.safetensors"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README.md"), nil, 0o600))
	var said bytes.Buffer
	f, err := models.Open(t.Context(), dir, checkpoint.Options{
		Hashes: checkpoint.HashesNowhere, Logger: slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	require.NoError(t, err)
	defer f.Close()
	for name, why := range map[string]string{
		"linked-file": "leaves the model's folder", "linked": "leaves the folder", "dangling": "no such file", "empty": "config.json",
		"models--a--b": "no whole cached repository", "datasets--a--b": "something else than a model", "stray.safetensors": "a file of a model",
	} {
		line := lineWith(said.String(), "name="+name+" ")
		require.Contains(t, line, "level=WARN", name)
		require.Contains(t, line, why, name)
	}
	for _, name := range []string{"good", ".locks", "README.md"} {
		require.NotContains(t, said.String(), "name="+name+" ")
	}
	said.Reset()
	for range 5 {
		_, err := f.Find(t.Context(), "half", plan.Hash{1})
		require.ErrorIs(t, err, checkpoint.ErrCorrupt)
	}
	require.Equal(t, 1, strings.Count(said.String(), "\n"), said.String())
	require.Contains(t, said.String(), "half")
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}
