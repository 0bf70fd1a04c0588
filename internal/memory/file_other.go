//go:build !linux && !darwin

package memory

import (
	"fmt"
	"io"
	"math"
	"os"
)

// FilesAreMapped says that [MapFile] maps, and does not read.
const FilesAreMapped = false

// MapFile reads size bytes of f into memory, where mapping is not available.
func MapFile(f *os.File, size int64) ([]byte, func() error, error) {
	if size > math.MaxInt {
		return nil, nil, fmt.Errorf("%d bytes do not fit the address space", size)
	}
	image := make([]byte, size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, size), image); err != nil {
		return nil, nil, err
	}
	return image, func() error { return nil }, nil
}
