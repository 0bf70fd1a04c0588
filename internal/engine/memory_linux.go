package engine

import "golang.org/x/sys/unix"

// hugePages asks for large pages behind big regions, which spares most TLB
// misses of a pass over the weights.
func hugePages(b []byte) {
	if len(b) >= 4<<20 {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	}
}
