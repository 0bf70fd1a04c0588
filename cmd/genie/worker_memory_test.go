package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestByteSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64 // -1: refused
	}{
		{"0", 0},
		{"1000", 1000},
		{"64MiB", 64 << 20},
		{"64 MB", 64_000_000},
		{"1.5GiB", 3 << 29},
		{"24gib", 24 << 30},
		{"-1", -1},
		{"GiB", -1},
		{"1 furlong", -1},
		{"9EiB", -1},
	} {
		t.Run(c.text, func(t *testing.T) {
			var b byteSize
			err := b.Set(c.text)
			if c.want < 0 {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.EqualValues(t, c.want, b)
		})
	}
}

func TestWorkerRefusesMemoryFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"unit", []string{"--mem-limit", "12 furlongs"}, 2, "12 furlongs"},
		{"bounds without a cache", []string{"--cache-bytes", "1GiB"}, 2, "--cache-bytes needs --cache"},
		{"entries without a cache", []string{"--cache-entries", "5"}, 2, "--cache-entries needs --cache"},
		{"empty cache", []string{"--cache", "x", "--cache-bytes", "0"}, 2, "leave --cache out"},
		{"no folder", []string{"--listen", "tcp://127.0.0.1:0", "--cache", "/dev/null/x"}, 1, "/dev/null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := cli(t, append([]string{"worker"}, c.args...)...)
			require.Equal(t, c.code, r.code, r.stderr)
			require.Contains(t, r.stderr, c.says)
		})
	}
}

// TestWorkerMemoryLimit refuses a model that does not fit, says how much memory
// it needs, and continues to serve.
func TestWorkerMemoryLimit(t *testing.T) {
	w := startChild(t, both(), "--mem-limit", "100KiB")
	for _, u := range w.urls {
		r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", u)
		require.Equal(t, 1, r.code, r.stderr)
		require.Contains(t, r.stderr, "not enough memory")
		require.Contains(t, r.stderr, "102400 are free")
	}
	w = startChild(t, both(), "--session-mem", "1000")
	for _, u := range w.urls {
		r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", u)
		require.Equal(t, 1, r.code, r.stderr)
		require.Contains(t, r.stderr, "of 1000 are free")
	}
	w = startChild(t, both(), "--mem-limit", "64MiB", "--session-mem", "8MiB")
	for _, u := range w.urls {
		r := cli(t, "generate", "--model", basic, "--tokens", "1", "--max-new", "2", "--executor", u)
		require.Zero(t, r.code, r.stderr)
	}
}

// TestWorkerCache sends weights once for several lives of a worker, one of
// which is killed.
func TestWorkerCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	generate := func(w *child) (*generateReport, int64) {
		r := decode[generateReport](t, "generate", "--model", basic, "--tokens", "1,2", "--max-new", "3", "--executor", w.urls[0], "--json")
		return &r, r.Wire.Sent["weights"]
	}
	first := startChild(t, anyTCP(), "--cache", dir)
	want, sent := generate(first)
	require.Positive(t, sent)
	code, _ := first.signal(t, syscall.SIGTERM) // after it the files are synced
	require.Zero(t, code)
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, f := range files {
		require.Regexp(t, "^[0-9a-f]{64}$", f.Name())
	}
	second := startChild(t, anyTCP(), "--cache", dir)
	got, sent := generate(second)
	require.Zero(t, sent)
	require.Equal(t, want.Tokens, got.Tokens)
	_, _ = second.signal(t, syscall.SIGKILL)

	third := startChild(t, anyTCP(), "--cache", dir, "--cache-entries", "2")
	_, sent = generate(third)
	require.Positive(t, sent, "all but two files went")
	code, _ = third.signal(t, syscall.SIGTERM)
	require.Zero(t, code)
	files, err = os.ReadDir(dir)
	require.NoError(t, err)
	require.LessOrEqual(t, len(files), 2)
}
