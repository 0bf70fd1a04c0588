package checkpoint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/checkpoint"
)

// TestHashNoticesChanges puts other content of the same names, shapes and times
// in the place of a model, in each of the ways in which files are replaced. In
// none are the old hashes the new content's.
func TestHashNoticesChanges(t *testing.T) {
	old, renewed := strings.Repeat("12", 1<<20), strings.Repeat("34", 1<<20)
	epoch := time.Unix(1, 0) // what an archive with fixed times leaves
	write := func(t *testing.T, path string, ws weights) {
		t.Helper()
		writeWeights(t, path, ws)
		require.NoError(t, os.Chtimes(path, epoch, epoch))
	}
	overwrite := func(t *testing.T, path string, from int64, text string) {
		t.Helper()
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		require.NoError(t, err)
		_, err = f.WriteAt([]byte(text), from)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		require.NoError(t, os.Chtimes(path, epoch, epoch))
	}
	cases := []struct {
		name   string
		change func(t *testing.T, path string)
	}{
		{"removed and written", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			write(t, path, weights{{"w", renewed}})
		}},
		{"renamed over", func(t *testing.T, path string) { write(t, path, weights{{"w", renewed}}) }},
		{"an older file renamed over", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(filepath.Join(filepath.Dir(path), "spare"), path))
		}},
		{"a hard link renamed over", func(t *testing.T, path string) {
			link := path + ".link"
			require.NoError(t, os.Link(filepath.Join(filepath.Dir(path), "spare"), link))
			require.NoError(t, os.Rename(link, path))
		}},
		{"a link that leads elsewhere", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink("spare", path))
		}},
		{"overwritten in place", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			overwrite(t, path, info.Size()-int64(len(renewed)), renewed)
		}},
		{"one byte, in place", func(t *testing.T, path string) {
			info, err := os.Stat(path)
			require.NoError(t, err)
			overwrite(t, path, info.Size()-1, "3")
		}},
		{"another size", func(t *testing.T, path string) { write(t, path, weights{{"w", "345"}}) }},
		{"another name", func(t *testing.T, path string) { write(t, path, weights{{"v", renewed}}) }},
	}
	for _, where := range []string{"cache", checkpoint.HashesBeside} {
		for _, c := range cases {
			t.Run(where+"/"+c.name, func(t *testing.T) {
				dir, at := newModel(t, weights{{"w", old}}), where
				if at == "cache" {
					at = t.TempDir()
				}
				path := filepath.Join(dir, "model.safetensors")
				write(t, filepath.Join(dir, "spare"), weights{{"w", renewed}})
				require.NoError(t, os.Chtimes(path, epoch, epoch))
				first, hashed := openCounting(t, dir, at)
				checkHashes(t, first)
				assert.NotZero(t, *hashed)
				c.change(t, path)
				m, hashed := openCounting(t, dir, at)
				checkHashes(t, m)
				assert.NotZero(t, *hashed)
			})
		}
	}
}

// TestYoungFilesAreNotTrusted: a file that was written a moment before it was
// hashed may be written again with the same times.
func TestYoungFilesAreNotTrusted(t *testing.T) {
	dir, cache := newModel(t, weights{{"w", "12"}}), t.TempDir()
	info, err := os.Stat(filepath.Join(dir, "model.safetensors"))
	require.NoError(t, err)
	for _, c := range []struct {
		age    time.Duration
		stored bool
	}{{0, false}, {-time.Hour, false}, {time.Second, false}, {3 * time.Second, true}} {
		m, err := checkpoint.Open(dir, checkpoint.Options{Hashes: cache, Now: func() time.Time { return info.ModTime().Add(c.age) }})
		require.NoError(t, err)
		checkHashes(t, m)
		require.NoError(t, m.Close())
		files, err := os.ReadDir(cache)
		if c.stored {
			require.NoError(t, err)
			require.Len(t, files, 1, c.age)
		} else {
			require.Empty(t, files, c.age)
		}
	}
}

// TestOnePlaceForOneFile: hashes are found by which file it is, whatever the
// path, and names of different folders do not share them.
func TestOnePlaceForOneFile(t *testing.T) {
	dir, cache := newModel(t, weights{{"w", "12"}}), t.TempDir()
	first, hashed := openCounting(t, dir, cache)
	checkHashes(t, first)
	assert.NotZero(t, *hashed)
	moved := filepath.Join(t.TempDir(), "moved")
	require.NoError(t, os.Symlink(dir, moved))
	m, hashed := openCounting(t, moved, cache)
	checkHashes(t, m)
	assert.Zero(t, *hashed)
	other := newModel(t, weights{{"w", "12"}})
	o, hashed := openCounting(t, other, cache)
	checkHashes(t, o)
	assert.NotZero(t, *hashed)
}

// TestDistrust drops what is stored, and hashes again.
func TestDistrust(t *testing.T) {
	for _, where := range []string{t.TempDir(), checkpoint.HashesBeside} {
		dir := newModel(t, weights{{"w", "12"}})
		m, hashed := openCounting(t, dir, where)
		checkHashes(t, m)
		assert.NotZero(t, *hashed)
		m.Distrust()
		again, hashed := openCounting(t, dir, where)
		checkHashes(t, again)
		assert.NotZero(t, *hashed, "nothing is stored any more")
		*hashed = 0
		again.Distrust()
		checkHashes(t, again)
		assert.NotZero(t, *hashed)
	}
}

// TestHashCacheIsBounded: what was used longest ago goes.
func TestHashCacheIsBounded(t *testing.T) {
	dir, cache := newModel(t, weights{{"w", "12"}}), t.TempDir()
	name := func(i int) string { return filepath.Join(cache, strings.Repeat("0", 28)+hex4(i)+".json") }
	for i := range 1100 {
		writeText(t, name(i), "{}")
		at := time.Now().Add(time.Duration(i-2000) * time.Minute)
		require.NoError(t, os.Chtimes(name(i), at, at))
	}
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": 0} {
		path := filepath.Join(cache, strings.Repeat("f", 32)+".json.tmp-"+name)
		writeText(t, path, "")
		require.NoError(t, os.Chtimes(path, time.Now(), time.Now().Add(-age)))
	}
	writeText(t, filepath.Join(cache, "README"), "not ours")
	m, _ := openCounting(t, dir, cache)
	checkHashes(t, m)
	left, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, left, 1024+2, "those, the unfinished file of another process and what is not ours")
	require.NoFileExists(t, name(76))
	require.FileExists(t, name(77))
	again, hashed := openCounting(t, dir, cache)
	checkHashes(t, again)
	assert.Zero(t, *hashed)
}

func hex4(i int) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[i>>12&15], digits[i>>8&15], digits[i>>4&15], digits[i&15]})
}
