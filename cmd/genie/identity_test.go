//go:build unix

package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
)

// TestModelReplacedWithTheSameTimes replaces a model whose hashes are stored by
// another one with the same names, sizes and times, as archives with fixed
// times do. Each next run uses the new model (NixOS/nixpkgs#54955).
func TestModelReplacedWithTheSameTimes(t *testing.T) {
	t.Parallel()
	w := startChild(t, both(), "--hashes", "off")
	epoch := time.Unix(1, 0)
	for name, replace := range map[string]func(t *testing.T, from, path string){
		"removed and copied": func(t *testing.T, from, path string) {
			t.Helper()
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, b, 0o600))
		},
		"renamed over": func(t *testing.T, from, path string) {
			t.Helper()
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".next", b, 0o600))
			require.NoError(t, os.Rename(path+".next", path))
		},
		"in place": func(t *testing.T, from, path string) {
			t.Helper()
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			require.NoError(t, err)
			_, err = f.Write(b)
			require.NoError(t, err)
			require.NoError(t, f.Close())
		},
		"linked": func(t *testing.T, from, path string) {
			t.Helper()
			b, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path+".next", b, 0o600))
			require.NoError(t, os.Chtimes(path+".next", epoch, epoch))
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Link(path+".next", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting until a file is old enough
			for _, where := range []string{t.TempDir(), "model"} {
				model := copied(t, filepath.Join(replaced, "old"), t.TempDir(), "cur")
				path := filepath.Join(model, "model.safetensors")
				require.NoError(t, os.Chtimes(path, epoch, epoch))
				run := func(executor string) string {
					r := cli(t, append(continued(executor, model), "--hashes", where)...)
					require.Zero(t, r.code, r.stderr)
					return r.stdout
				}
				require.Equal(t, oldTokens, run(w.urls[0]))
				stored(t, where, model, func() { require.Equal(t, oldTokens, run(w.urls[0])) })
				replace(t, filepath.Join(replaced, "new", "model.safetensors"), path)
				require.NoError(t, os.Chtimes(path, epoch, epoch))
				for _, executor := range append([]string{"local:"}, w.urls...) {
					require.Equal(t, newTokens, run(executor), "%s, hashes in %s", executor, where)
				}
			}
		})
	}
}

// stored runs until the hashes of a model are stored, which they are when its
// file is old enough, and returns their file.
func stored(t *testing.T, where, model string, run func()) string {
	t.Helper()
	if where == "model" {
		where = model
	}
	var found []string
	require.Eventually(t, func() bool {
		run()
		found, _ = filepath.Glob(filepath.Join(where, "*.json"))
		found = append([]string(nil), regexp.MustCompile(`\S*(genie-hashes|[0-9a-f]{32})\.json`).FindAllString(strings.Join(found, "\n"), -1)...)
		return len(found) == 1
	}, time.Minute, 100*time.Millisecond)
	return found[0]
}

// TestStoredHashesThatAreWrong: content that does not have the hash that is
// stored for it drops what is stored, and the model is hashed again, at once.
func TestStoredHashesThatAreWrong(t *testing.T) {
	w := startChild(t, both(), "--hashes", "off")
	for _, executor := range append([]string{"local:"}, w.urls...) {
		where, model := t.TempDir(), filepath.Join(replaced, "new")
		args := append(continued(executor, model), "--hashes", where)
		file := stored(t, where, model, func() { require.Zero(t, cli(t, append(continued("local:", model), "--hashes", where)...).code) })
		falsify(t, file)
		r := cli(t, args...)
		require.Zero(t, r.code, r.stderr)
		require.Equal(t, newTokens, r.stdout)
		require.Empty(t, r.stderr)
		r = cli(t, args...)
		require.Equal(t, newTokens, r.stdout)
	}
}

// falsify changes each hash in a file of stored ones, and makes the file whole.
func falsify(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var s struct {
		Version   int                        `json:"version"`
		Algorithm string                     `json:"algorithm"`
		Files     map[string]json.RawMessage `json:"files"`
		Check     string                     `json:"check"`
	}
	require.NoError(t, json.Unmarshal(text, &s))
	for name, f := range s.Files {
		head, tensors, found := bytes.Cut(f, []byte(`"tensors"`))
		require.True(t, found)
		n := 0
		tensors = regexp.MustCompile(`"[0-9a-f]{64}"`).ReplaceAllFunc(tensors, func([]byte) []byte {
			n++
			d := blake3.Sum256([]byte(strconv.Itoa(n)))
			return []byte(`"` + hex.EncodeToString(d[:]) + `"`)
		})
		require.Positive(t, n)
		s.Files[name] = append(append(head, `"tensors"`...), tensors...)
	}
	s.Check = ""
	plain, err := json.Marshal(s)
	require.NoError(t, err)
	d := blake3.Sum256(plain)
	s.Check = hex.EncodeToString(d[:])
	text, err = json.Marshal(s)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// TestNothingIsWrittenBesideAModel, unless the user says so.
func TestNothingIsWrittenBesideAModel(t *testing.T) {
	model, cache := copied(t, filepath.Join(replaced, "old"), t.TempDir(), "cur"), t.TempDir()
	served := copied(t, filepath.Join(replaced, "old"), t.TempDir(), "cur")
	before, err := os.ReadDir(model)
	require.NoError(t, err)
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	w := startChild(t, anyTCP(), "--models", filepath.Dir(served))
	hashes := filepath.Join(cache, "genie", "hashes")
	if runtime.GOOS == "darwin" {
		hashes = filepath.Join(cache, "Library", "Caches", "genie", "hashes")
	}
	require.Eventually(t, func() bool {
		r := cli(t, "generate", "--model", model, "--tokens", "1", "--max-new", "1", "--executor", w.urls[0])
		require.Zero(t, r.code, r.stderr)
		files, _ := os.ReadDir(hashes)
		return len(files) >= 1
	}, time.Minute, 100*time.Millisecond)
	for _, dir := range []string{model, served} {
		after, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Len(t, after, len(before))
	}
	t.Setenv(hashesEnv, "model")
	require.Zero(t, cli(t, "generate", "--model", model, "--tokens", "1", "--max-new", "1").code)
	require.FileExists(t, filepath.Join(model, "genie-hashes.json"))
}

// TestNewVersionInTheModelFolder: a model that is renamed into the folder of a
// worker that runs is opened, and nothing of it is sent.
func TestNewVersionInTheModelFolder(t *testing.T) {
	dir := t.TempDir()
	served := copied(t, filepath.Join(replaced, "old"), dir, "served", "cur")
	first := copied(t, filepath.Join(replaced, "old"), dir, "a", "cur")
	second := copied(t, filepath.Join(replaced, "new"), dir, "b", "cur")
	w := startChild(t, both(), "--models", filepath.Dir(served), "--hashes", "off")
	sent := func(url, model string) int64 {
		r := decode[generateReport](t, append(continued(url, model), "--json")...)
		return r.Wire.Sent["weights"]
	}
	require.Zero(t, sent(w.urls[0], first))
	next := copied(t, filepath.Join(replaced, "new"), dir, "next")
	require.NoError(t, os.Rename(filepath.Join(next, "model.safetensors"), filepath.Join(served, "model.safetensors")))
	require.Zero(t, sent(w.urls[1], second))
	if maps, err := os.ReadFile("/proc/" + strconv.Itoa(w.cmd.Process.Pid) + "/maps"); err == nil {
		require.NotContains(t, string(maps), "model.safetensors (deleted)")
	}
}

// TestDownloadCacheAsModelFolder: with each folder of a download cache of
// Hugging Face as the worker's, nothing of a cached model is sent.
func TestDownloadCacheAsModelFolder(t *testing.T) {
	for _, at := range []string{"", "text_encoder"} {
		hub := filepath.Join(t.TempDir(), "hub")
		repo := filepath.Join(hub, "models--x--y")
		model := filepath.Join(repo, "snapshots", "abc123", at)
		require.NoError(t, os.MkdirAll(model, 0o700))
		blobs := copied(t, filepath.Join(replaced, "new"), repo, "blobs")
		up, err := filepath.Rel(model, blobs)
		require.NoError(t, err)
		for _, name := range []string{"config.json", "model.safetensors"} {
			require.NoError(t, os.Symlink(filepath.Join(up, name), filepath.Join(model, name)))
		}
		for _, folder := range []string{hub, repo, filepath.Join(repo, "snapshots")} {
			w := startChild(t, anyTCP(), "--models", folder, "--hashes", "off")
			r := decode[generateReport](t, append(continued(w.urls[0], model), "--json")...)
			require.Equal(t, []int{16, 16, 16, 29, 29, 71}, r.Tokens)
			require.Zero(t, r.Wire.Sent["weights"], folder)
			code, _ := w.signal(t, os.Interrupt)
			require.Zero(t, code)
			require.Empty(t, w.stderr.String())
		}
		require.NoError(t, os.Remove(filepath.Join(model, "model.safetensors")))
		require.NoError(t, os.Symlink(copied(t, filepath.Join(replaced, "new"), t.TempDir(), "out")+"/model.safetensors", filepath.Join(model, "model.safetensors")))
		r := cli(t, continued("local:", model)...)
		require.Equal(t, 1, r.code)
		require.Contains(t, r.stderr, "leaves the model's folder")
		require.NotContains(t, r.stderr, "corrupt")
	}
}
