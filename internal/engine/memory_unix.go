//go:build unix

package engine

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/genie-sdk/go/transport"
)

// mapped is zeroed memory outside the Go heap, page-aligned.
func mapped(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("%w: no %d bytes of memory: %w", transport.ErrLimit, n, err)
	}
	hugePages(b)
	return b, nil
}

func unmap(b []byte) {
	if b != nil {
		_ = unix.Munmap(b)
	}
}
