//go:build unix

package steptime

import (
	"fmt"
	"syscall"
)

// content is size bytes that nobody reads: address space that takes no memory.
func content(size int) (b []byte, release func(), err error) {
	b, err = syscall.Mmap(-1, 0, size, syscall.PROT_READ, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("times of a decoder: %d bytes of address space: %w", size, err)
	}
	return b, func() { _ = syscall.Munmap(b) }, nil
}
