//go:build linux || darwin

package randomweights

import "golang.org/x/sys/unix"

// freeBytes returns the space that an ordinary user can still write on the disk
// of dir.
func freeBytes(dir string) (uint64, bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, false
	}
	return stat.Bavail * uint64(stat.Bsize), true // signed on some systems
}
