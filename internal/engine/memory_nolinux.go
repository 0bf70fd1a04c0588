//go:build unix && !linux

package engine

import (
	"runtime"

	"golang.org/x/sys/unix"
)

func hugePages([]byte) {}

// peakRSS is the peak of resident memory of this process in bytes.
func peakRSS() int64 {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) //nolint:unconvert // 32 bits wide on some systems
	}
	return int64(u.Maxrss) * 1024 //nolint:unconvert // as above
}
