package weightcache_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// content is n bytes that follow from seed, and their hash as a weight.
func content(seed byte, n int) ([]byte, plan.Hash) {
	b := bytes.Repeat([]byte{seed}, n)
	return b, hash(b)
}

func hash(b []byte) plan.Hash { return transport.HashWeight(plan.F32, []int{len(b) / 4}, b) }

// put writes content in pieces.
func put(c *weightcache.Cache, b []byte, h plan.Hash) error {
	w, err := c.Create(h, int64(len(b)))
	if err != nil {
		return err
	}
	for len(b) > 0 {
		n := min(len(b), 1000)
		if _, err := w.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return w.Commit()
}

// get reads content and checks it as a worker does.
func get(c *weightcache.Cache, h plan.Hash, n int) ([]byte, bool, error) {
	var got []byte
	ok, err := c.Load(h, int64(n), func(r io.Reader) error {
		var err error
		if got, err = io.ReadAll(r); err != nil {
			return err
		}
		if hash(got) != h {
			return fmt.Errorf("%w: another hash", transport.ErrCorrupt)
		}
		return nil
	})
	return got, ok, err
}

func open(t testing.TB, dir string, o weightcache.Options) *weightcache.Cache {
	t.Helper()
	c, err := weightcache.Open(dir, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func names(t testing.TB, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestRoundTrip(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	c := open(t, dir, weightcache.Options{})
	b, h := content(1, 5000)
	_, ok, err := get(c, h, len(b))
	require.NoError(t, err)
	require.False(t, ok)
	require.NoError(t, put(c, b, h))
	require.Regexp(t, "^[0-9a-f]{64}$", names(t, dir)[0])
	require.Len(t, names(t, dir), 1)
	require.ErrorIs(t, put(c, b, h), fs.ErrExist)
	again := open(t, dir, weightcache.Options{})
	got, ok, err := get(again, h, len(b))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, b, got)
	require.Equal(t, weightcache.Stats{Hits: 1, Bytes: 5000, Entries: 1}, again.Stats())
	require.Equal(t, weightcache.Stats{Misses: 1, Bytes: 5000, Entries: 1}, c.Stats())
}

// TestSpoiledFiles verifies that what is not what its name says is never taken,
// and is removed.
func TestSpoiledFiles(t *testing.T) {
	b, h := content(1, 5000)
	for _, tt := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"flipped bit", func(t *testing.T, path string) {
			x := bytes.Clone(b)
			x[4321] ^= 4
			require.NoError(t, os.WriteFile(path, x, 0o600))
		}},
		{"truncated", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 4999)) }},
		{"empty", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 0)) }},
		{"longer", func(t *testing.T, path string) { require.NoError(t, os.Truncate(path, 5001)) }},
		{"a folder", func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := open(t, dir, weightcache.Options{})
			require.NoError(t, put(c, b, h))
			tt.spoil(t, filepath.Join(dir, h.String()))
			_, ok, err := get(c, h, len(b))
			require.ErrorIs(t, err, transport.ErrCorrupt)
			require.False(t, ok)
			require.Empty(t, names(t, dir))
			require.NoError(t, put(c, b, h))
			_, ok, err = get(c, h, len(b))
			require.NoError(t, err)
			require.True(t, ok)
		})
	}
}

// TestLinksOutOfTheFolder are not followed.
func TestLinksOutOfTheFolder(t *testing.T) {
	dir, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	b, h := content(1, 5000)
	require.NoError(t, os.WriteFile(outside, b, 0o600))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, h.String())))
	c := open(t, dir, weightcache.Options{})
	_, ok, err := get(c, h, len(b))
	require.Error(t, err)
	require.False(t, ok)
	_, err = os.Stat(outside)
	require.NoError(t, err)
}

func TestBounds(t *testing.T) {
	for _, tt := range []struct {
		name string
		o    weightcache.Options
		want []byte // remaining seeds, of 1 to 5 with 1 used last
	}{
		{"bytes", weightcache.Options{MaxBytes: 3500}, []byte{1, 4, 5}},
		{"exactly", weightcache.Options{MaxBytes: 3000}, []byte{1, 4, 5}},
		{"entries", weightcache.Options{MaxEntries: 2}, []byte{1, 5}},
		{"none needed", weightcache.Options{MaxBytes: 5000, MaxEntries: 5}, []byte{1, 2, 3, 4, 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, now := t.TempDir(), time.Unix(1_000_000, 0)
			tick := func() time.Time { now = now.Add(time.Minute / 8); return now }
			tt.o.Now = tick
			c := open(t, dir, tt.o)
			for seed := range byte(5) {
				b, h := content(seed+1, 1000)
				require.NoError(t, put(c, b, h))
				require.NoError(t, os.Chtimes(filepath.Join(dir, h.String()), time.Time{}, tick()))
				first, h1 := content(1, 1000)
				_, ok, err := get(c, h1, len(first))
				require.NoError(t, err)
				require.True(t, ok)
			}
			require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), make([]byte, 9000), 0o600), "not ours, not counted")
			left := []byte{}
			for seed := range byte(5) {
				b, h := content(seed+1, 1000)
				if _, ok, _ := get(c, h, len(b)); ok {
					left = append(left, seed+1)
				}
			}
			require.Equal(t, tt.want, left)
			st := c.Stats()
			require.EqualValues(t, len(left), st.Entries)
			require.EqualValues(t, 1000*len(left), st.Bytes)
			require.EqualValues(t, 5-len(left), st.Evictions)
		})
	}
}

func TestTooLarge(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, weightcache.Options{MaxBytes: 1500})
	b, h := content(1, 1000)
	require.NoError(t, put(c, b, h))
	large, hl := content(2, 1501)
	require.Error(t, put(c, large, hl))
	require.Len(t, names(t, dir), 1, "the cache is not emptied for what does not fit")
}

// TestUnfinishedFiles are no content, count while they are written, and go when
// their writer has died.
func TestUnfinishedFiles(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	o := weightcache.Options{MaxBytes: 2500, Now: func() time.Time { return now }}
	c := open(t, dir, o)
	b, h := content(1, 1000)
	w, err := c.Create(h, 1000)
	require.NoError(t, err)
	_, err = w.Write(b[:500])
	require.NoError(t, err)
	_, ok, err := get(c, h, len(b))
	require.NoError(t, err)
	require.False(t, ok, "it is not there yet")
	other, h2 := content(2, 1000)
	require.NoError(t, put(c, other, h2))
	third, h3 := content(3, 1000)
	require.NoError(t, put(c, third, h3))
	_, ok, _ = get(c, h2, len(other))
	require.False(t, ok, "the file being written counts with its full size")

	now = now.Add(59 * time.Minute)
	open(t, dir, o)
	require.Len(t, names(t, dir), 2, "another worker's, that may live")
	now = now.Add(2 * time.Minute)
	open(t, dir, o)
	require.Len(t, names(t, dir), 1)
	require.Error(t, w.Commit(), "its file has been taken for dead")
	_, ok, err = get(c, h3, len(third))
	require.NoError(t, err)
	require.True(t, ok)
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, weightcache.Options{})
	b, h := content(1, 1000)
	w, err := c.Create(h, 1000)
	require.NoError(t, err)
	_, err = w.Write(b[:999])
	require.NoError(t, err)
	require.Error(t, w.Commit(), "too short")
	require.NoError(t, w.Abort())
	require.ErrorIs(t, w.Commit(), fs.ErrClosed)
	w, err = c.Create(h, 1000)
	require.NoError(t, err)
	_, err = w.Write(append(b, 1))
	require.Error(t, err, "too long")
	require.Empty(t, names(t, dir))
}

// TestTwoWorkers share a folder: both write, read and evict. What is found is
// right, and in the end the folder is within its bounds.
func TestTwoWorkers(t *testing.T) {
	dir := t.TempDir()
	const limit = 12_000
	var wg sync.WaitGroup
	hits := make([]int, 4)
	for g := range hits {
		c := open(t, dir, weightcache.Options{MaxBytes: limit, MaxEntries: 9})
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 150 {
				seed := byte(rng.IntN(15))
				b, h := content(seed, 1000+100*int(seed))
				got, ok, err := get(c, h, len(b))
				if err != nil {
					t.Errorf("get: %v", err)
				}
				if ok {
					hits[g]++
					if !bytes.Equal(got, b) {
						t.Error("other content")
					}
				} else if err := put(c, b, h); err != nil && !errors.Is(err, fs.ErrExist) && !isFull(err) {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for g, n := range hits {
		require.Positive(t, n, "worker %d", g)
	}
	total := int64(0)
	for _, name := range names(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Regexp(t, "^[0-9a-f]{64}$", name)
		total += info.Size()
	}
	require.LessOrEqual(t, total, int64(limit))
	require.LessOrEqual(t, len(names(t, dir)), 9)
}

func isFull(err error) bool { return errors.Is(err, weightcache.ErrFull) }
