package memory

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Grow makes what Map gave n bytes long, which is more; it may move, and pages
// move without being copied. When it fails b is as it was.
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

// adviseHuge asks for large pages, which spares most TLB misses of a pass over
// the weights and most faults while a payload is received.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }

// ResetPeak makes the peak of resident memory start anew. It reports whether
// it could.
func ResetPeak() bool { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0o600) == nil }

// PeakRSS is the peak of resident memory of this process in bytes, mapped
// files included; 0 when it is not known. The kernel's other counter, ru_maxrss, begins with that of
// the process that started this one.
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
