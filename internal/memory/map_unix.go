//go:build unix

package memory

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugeFrom is the size of a region from which huge pages pay off.
const hugeFrom = 4 << 20

// Map returns n bytes of zeros, page-aligned. It takes only address space until
// it is written to.
func Map(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil && n >= hugeFrom {
		adviseHuge(b)
	}
	return b, err
}

// Forget drops pages from memory: those of a mapped file are read again when
// used, others become zeros. b may be any part of the mapping; only whole pages
// of it are dropped.
func Forget(b []byte) {
	page := os.Getpagesize()
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	from := int(-at & uintptr(page-1))
	if to := (len(b) - from) / page * page; to > 0 {
		_ = unix.Madvise(b[from:from+to], unix.MADV_DONTNEED)
	}
}

// Unmap frees the memory of Map.
func Unmap(b []byte) {
	if b != nil {
		_ = unix.Munmap(b)
	}
}
