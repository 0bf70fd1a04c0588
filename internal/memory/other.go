//go:build !unix

package memory

// Map returns n bytes of zeros; on this system they are on the Go heap.
func Map(n int) ([]byte, error) { return make([]byte, n), nil }

// Grow enlarges memory of Map to n bytes.
func Grow(b []byte, n int) ([]byte, error) { return copied(b, n) }

// Unmap frees the memory of Map.
func Unmap([]byte) {}

// Forget does nothing on this system.
func Forget([]byte) {}

// ResetPeak cannot reset the peak on this system.
func ResetPeak() bool { return false }

// PeakRSS is not known on this system.
func PeakRSS() int64 { return 0 }
