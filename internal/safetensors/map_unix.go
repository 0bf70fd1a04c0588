//go:build linux || darwin

package safetensors

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

const filesAreMapped = true

// mapFile maps size bytes of f read only. size is not 0.
func mapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size > math.MaxInt {
		return nil, nil, fmt.Errorf("%d bytes do not fit the address space", size)
	}
	image, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return image, func() error { return os.NewSyscallError("munmap", unix.Munmap(image)) }, nil
}
