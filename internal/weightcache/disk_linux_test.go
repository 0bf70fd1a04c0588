package weightcache_test

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/genie-sdk/go/internal/weightcache"
)

// limitedEnv makes the test binary a process that may write small files only.
const limitedEnv = "GENIE_TEST_LIMITED_DIR"

// TestFileSizeLimit meets a real limit of the system, in a process of its own:
// a file cannot grow beyond 64 KiB.
func TestFileSizeLimit(t *testing.T) {
	if dir := os.Getenv(limitedEnv); dir != "" {
		limit := unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &limit))
		c := open(t, dir, weightcache.Options{})
		small, hs := content(1, 60_000)
		require.NoError(t, put(c, small, hs))
		large, hl := content(2, 80_000)
		require.ErrorIs(t, put(c, large, hl), syscall.EFBIG)
		return
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$")
	cmd.Env = append(os.Environ(), limitedEnv+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	_, hs := content(1, 60_000)
	require.Equal(t, []string{hs.String()}, names(t, dir))
	got, ok, err := get(open(t, dir, weightcache.Options{}), hs, 60_000)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, got, 60_000)
}

// TestFullDisk fills a small file system of its own, where the system lets one
// be mounted.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=128k"); err != nil {
		t.Skipf("no file system can be mounted: %v; run as root: sudo go test -run TestFullDisk ./internal/weightcache", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, 0)) })
	c := open(t, dir, weightcache.Options{})
	small, hs := content(1, 60_000)
	require.NoError(t, put(c, small, hs))
	large, hl := content(2, 80_000)
	require.ErrorIs(t, put(c, large, hl), syscall.ENOSPC)
	require.Equal(t, []string{hs.String()}, names(t, dir))
	got, ok, err := get(c, hs, 60_000)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, got, 60_000)
}
