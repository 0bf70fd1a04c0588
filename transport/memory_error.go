package transport

import "fmt"

// MemoryError says that a request needs more memory than the executor may take.
// Nothing was allocated for the request, and the session is unchanged. It wraps
// [ErrMemory]; errors.As finds it on both sides of the wire.
type MemoryError struct {
	Need  int64  // bytes that the request needs in addition to those already held for it
	Free  int64  // bytes that were free, including those that could be reclaimed
	Limit int64  // bytes that may be held in total
	For   string // purpose of the memory
}

// Error gives the numbers.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%v: %d bytes needed for %s, %d of %d are free", ErrMemory, e.Need, e.For, e.Free, e.Limit)
}

// Unwrap is [ErrMemory].
func (e *MemoryError) Unwrap() error { return ErrMemory }
