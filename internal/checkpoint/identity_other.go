//go:build !linux && !darwin

package checkpoint

import "os"

// fileNumbers are unknown on this system.
func fileNumbers(os.FileInfo) (device, inode uint64, changeTimeNs int64) { return 0, 0, 0 }
