//go:build unix && !linux

package memory

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Grow enlarges memory of Map to n bytes; the memory moves. When Grow fails, b
// is unchanged.
func Grow(b []byte, n int) ([]byte, error) { return copied(b, n) }

func adviseHuge([]byte) {}

// ResetPeak cannot reset the peak on this system.
func ResetPeak() bool { return false }

// PeakRSS is the peak of resident memory of this process in bytes.
func PeakRSS() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) //nolint:unconvert // 32 bits wide on some systems
	}
	return int64(u.Maxrss) * 1024 //nolint:unconvert // as above
}
