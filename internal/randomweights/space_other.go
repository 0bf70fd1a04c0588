//go:build !linux && !darwin

package randomweights

// freeBytes has no answer here; a write finds out.
func freeBytes(string) (uint64, bool) { return 0, false }
