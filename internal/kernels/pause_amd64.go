//go:build amd64 && !purego

package kernels

// Pause tells the processor that the caller spins, so that it slows down and
// leaves its resources to a sibling thread.
func Pause() { pause() }
