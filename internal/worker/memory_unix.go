//go:build unix

package worker

import "golang.org/x/sys/unix"

const hugeFrom = 4 << 20

func mapMemory(n int) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil && n >= hugeFrom {
		adviseHuge(b)
	}
	return b, err
}

func unmapMemory(b []byte) { _ = unix.Munmap(b) }
