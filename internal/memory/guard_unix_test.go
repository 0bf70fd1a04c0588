//go:build linux || darwin

package memory_test

import (
	"crypto/sha256"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/blake3"
	"golang.org/x/sys/unix"

	"github.com/genie-sdk/go/internal/memory"
)

// cutFile is a mapped file of size bytes that has been cut to left bytes.
func cutFile(t *testing.T, size, left int) []byte {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, f.Truncate(int64(size)))
	view, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(view)) })
	require.NoError(t, f.Truncate(int64(left)))
	return view
}

// TestGuard reads a file that was cut short in each of the ways in which the
// program reads one, those in assembly among them.
func TestGuard(t *testing.T) {
	const size = 1 << 20
	dst := make([]byte, size)
	for name, read := range map[string]func(view []byte){
		"copy":   func(view []byte) { copy(dst, view) },
		"append": func(view []byte) { _ = append(dst[:0:size], view...) },
		"byte": func(view []byte) {
			for i := range view {
				dst[i] = view[i] + 1
			}
		},
		"blake3": func(view []byte) { _, _ = blake3.New().Write(view) },
		"sha256": func(view []byte) { sha256.Sum256(view) },
		"crc32c": func(view []byte) { crc32.Update(0, crc32.MakeTable(crc32.Castagnoli), view) },
	} {
		for _, left := range []int{0, 5000, size / 2} {
			view := cutFile(t, size, left)
			for range 3 {
				err := memory.Guard(view, func() { read(view) })
				require.ErrorIs(t, err, memory.ErrFault, "%s of %d bytes", name, left)
				page := (left + os.Getpagesize() - 1) / os.Getpagesize() * os.Getpagesize()
				require.NoError(t, memory.Guard(view[:page], func() { read(view[:page]) }), "the last page is filled with zeros")
			}
		}
	}
	whole := cutFile(t, size, size)
	n, err := memory.CopyView(dst[:100], whole)
	require.NoError(t, err)
	require.Equal(t, 100, n)
	n, err = memory.CopyView(dst, cutFile(t, size, 0))
	require.ErrorIs(t, err, memory.ErrFault)
	require.Zero(t, n)
}

// TestGuardLeavesOtherPanics: a panic that is not a fault of the view is not
// reported as a fault of the file.
func TestGuardLeavesOtherPanics(t *testing.T) {
	view, other := cutFile(t, 1<<16, 1<<16), cutFile(t, 1<<16, 0)
	require.PanicsWithValue(t, "mine", func() { _ = memory.Guard(view, func() { panic("mine") }) })
	require.Panics(t, func() { _ = memory.Guard(view, func() { copy(make([]byte, 9), other) }) })
	var none *[4]byte
	require.Panics(t, func() { _ = memory.Guard(view, func() { _ = none[1] }) })
	require.NoError(t, memory.Guard(nil, func() {}))
}
