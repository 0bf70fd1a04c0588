//go:build linux || darwin

package atomicfile_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/genie-sdk/go/internal/safetensors/atomicfile"
)

func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "p")
	require.NoError(t, unix.Mkfifo(path, 0o600))
	return path
}

func isPipe(t *testing.T, path string) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeNamedPipe, "%s is %v", path, info.Mode())
}

// TestPipe is written to its reader, also through a link, and stays a pipe.
func TestPipe(t *testing.T) {
	path := pipe(t)
	link := filepath.Join(filepath.Dir(path), "link")
	require.NoError(t, os.Symlink("p", link))
	for _, to := range []string{path, link} {
		got := make(chan string)
		go func() {
			b, _ := os.ReadFile(path)
			got <- string(b)
		}()
		text := make([]byte, 300<<10) // more than a pipe holds
		for i := range text {
			text[i] = 'a' + byte(i%26)
		}
		require.NoError(t, atomicfile.Check(to))
		require.NoError(t, atomicfile.WriteFile(to, text))
		require.Equal(t, string(text), <-got)
		isPipe(t, path)
	}
	require.Equal(t, []string{"link", "p"}, names(t, filepath.Dir(path)))
}

// TestPipeWithoutReader does not wait longer than its deadline.
func TestPipeWithoutReader(t *testing.T) {
	path := pipe(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	go cancel(gone)
	_, err := atomicfile.CreateContext(ctx, path)
	require.ErrorIs(t, err, gone)
	require.ErrorContains(t, err, path)
	isPipe(t, path)
}

// TestPipeWhoseReaderStops does not delay a writer beyond its context, and a
// pipe whose reader has gone is an error.
func TestPipeWhoseReaderStops(t *testing.T) {
	path := pipe(t)
	reader, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	f, err := atomicfile.CreateContext(ctx, path)
	require.NoError(t, err)
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err = f.Write(make([]byte, 1<<20))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.NoError(t, f.Abort())

	g, err := atomicfile.CreateContext(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	_, err = g.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.EPIPE)
	require.NoError(t, g.Abort())
	isPipe(t, path)
}

// TestDevices makes nodes of devices in a folder of its own: one that takes
// everything and one that is always full. They stay devices.
func TestDevices(t *testing.T) {
	dir := t.TempDir()
	for name, number := range map[string]uint32{"null": 3, "full": 7} {
		path := filepath.Join(dir, name)
		if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, number))); err != nil {
			t.Skipf("no device can be made: %v; run as root: sudo go test -run TestDevices ./internal/safetensors/atomicfile", err)
		}
		if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
			t.Skipf("a device in %s cannot be opened: %v; name a folder of a file system without nodev: TMPDIR=DIR go test -run TestDevices ./internal/safetensors/atomicfile", dir, err)
		} else {
			require.NoError(t, f.Close())
		}
		before, err := os.Stat(path)
		require.NoError(t, err)
		err = atomicfile.WriteFile(path, []byte("text"))
		if name == "full" {
			require.ErrorIs(t, err, syscall.ENOSPC)
		} else {
			require.NoError(t, err)
		}
		after, err := os.Lstat(path)
		require.NoError(t, err)
		require.True(t, os.SameFile(before, after))
		require.NotZero(t, after.Mode()&os.ModeCharDevice)
	}
	require.Len(t, names(t, dir), 2)
}

// TestDescriptors: /dev/fd/N continues what the process writes there, be it a
// pipe or a file, and replaces nothing.
func TestDescriptors(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink("/dev/fd/"+strconv.Itoa(int(w.Fd())), link))
	require.NoError(t, atomicfile.WriteFile(link, []byte("piped")))
	require.NoError(t, w.Close())
	got, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "piped", string(got))

	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("before ")
	require.NoError(t, err)
	require.NoError(t, atomicfile.WriteFile("/dev/fd/"+strconv.Itoa(int(f.Fd())), []byte("between")))
	_, err = f.WriteString(" after")
	require.NoError(t, err)
	require.Equal(t, "before between after", content(t, path))
	require.Error(t, atomicfile.WriteFile("/dev/fd/999999", []byte("x")))
}

func TestSocketIsRefused(t *testing.T) {
	dir, err := os.MkdirTemp("", "sock") //nolint:usetesting // a socket's path is short
	require.NoError(t, err)
	defer func() { require.NoError(t, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer l.Close()
	require.ErrorIs(t, atomicfile.WriteFile(path, []byte("x")), atomicfile.ErrTarget)
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeSocket)
}
