package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Grow enlarges memory of Map to n bytes. The memory may move; its pages move
// without being copied. When Grow fails, b is unchanged.
func Grow(b []byte, n int) ([]byte, error) {
	if b == nil {
		return Map(n)
	}
	grown, err := unix.Mremap(b, n, unix.MREMAP_MAYMOVE)
	if err != nil {
		return b, err
	}
	if n >= hugeFrom {
		adviseHuge(grown)
	}
	return grown, nil
}

// adviseHuge requests huge pages, which avoid most TLB misses of a pass over
// the weights and most faults while a payload is received.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// ResetPeak resets the peak of resident memory and reports whether it could.
func ResetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) == nil }

// PeakRSS is the peak of resident memory of this process in bytes, including
// mapped files; 0 when it is unknown. The kernel's other counter, ru_maxrss,
// starts with the value of the parent process.
func PeakRSS() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if v, ok := strings.CutPrefix(s.Text(), "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(v), "kB")), 10, 64)
			return kb << 10
		}
	}
	return 0
}
