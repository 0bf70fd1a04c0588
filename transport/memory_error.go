package transport

import "fmt"

// MemoryError says that a request needs memory that an executor may not take.
// Nothing has been allocated for the request, and what the session had before
// it still has. It wraps [ErrMemory]; errors.As finds it on both sides of the
// wire.
type MemoryError struct {
	Need  int64  // bytes that the request needs beyond what is held for it
	Free  int64  // bytes that were free, what could be given up for it included
	Limit int64  // bytes that may be held in all
	For   string // what the memory was for
}

// Error gives the numbers.
func (e *MemoryError) Error() string {
	return fmt.Sprintf("%v: %d bytes needed for %s, %d of %d are free", ErrMemory, e.Need, e.For, e.Free, e.Limit)
}

// Unwrap is [ErrMemory].
func (e *MemoryError) Unwrap() error { return ErrMemory }
