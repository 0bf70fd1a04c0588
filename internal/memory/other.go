//go:build !unix

package memory

// Map gives n bytes of zeros; on this system they are on the Go heap.
func Map(n int) ([]byte, error) { return make([]byte, n), nil }

// Grow makes what Map gave n bytes long, which is more.
func Grow(b []byte, n int) ([]byte, error) { return copied(b, n) }

// Unmap gives back what Map gave.
func Unmap([]byte) {}

// Forget does nothing on this system.
func Forget([]byte) {}

// ResetPeak cannot make the peak start anew on this system.
func ResetPeak() bool { return false }

// PeakRSS is not known on this system.
func PeakRSS() int64 { return 0 }
