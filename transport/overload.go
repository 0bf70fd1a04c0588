package transport

import (
	"errors"
	"fmt"
	"time"
)

// ErrOverloaded is the cause of errors of an executor that has too much to do to
// take another request. Nothing of the request was done. See [OverloadError].
var ErrOverloaded = errors.New("genie: overloaded")

// OverloadError is an [ErrOverloaded] with a hint.
type OverloadError struct {
	// RetryAfter is when the executor thinks to have room again, from the time
	// that requests have taken it lately.
	RetryAfter time.Duration
	Err        error // what was full; wraps ErrOverloaded
}

// Error says what was full and when to ask again.
func (e *OverloadError) Error() string {
	return fmt.Sprintf("%v; room in about %v", e.Err, e.RetryAfter)
}

// Unwrap is Err.
func (e *OverloadError) Unwrap() error { return e.Err }
