package checkpoint

import (
	"os"
	"syscall"
)

// fileNumbers are the device and the inode of a file, and the time when its
// content or its metadata last changed.
func fileNumbers(info os.FileInfo) (device, inode uint64, changeTimeNs int64) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, 0
	}
	return uint64(s.Dev), s.Ino, s.Ctimespec.Nano()
}
