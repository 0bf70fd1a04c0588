//go:build linux || darwin

package memory

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// FilesAreMapped says that [MapFile] maps, and does not read.
const FilesAreMapped = true

// MapFile maps size bytes of f, not 0, read only, and returns what unmaps them. Where
// [FilesAreMapped], a file that is cut short makes a read fault: see [Guard].
func MapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size > math.MaxInt {
		return nil, nil, fmt.Errorf("%d bytes do not fit the address space", size)
	}
	image, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, os.NewSyscallError("mmap", err)
	}
	return image, func() error { return os.NewSyscallError("munmap", unix.Munmap(image)) }, nil
}
