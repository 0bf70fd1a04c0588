package transport

import (
	"errors"
	"fmt"
	"time"
)

// ErrOverloaded is the cause of errors of an executor that has no capacity for
// another request. Nothing of the request was done. See [OverloadError].
var ErrOverloaded = errors.New("genie: overloaded")

// OverloadError is an [ErrOverloaded] with a hint.
type OverloadError struct {
	// RetryAfter is the executor's estimate of when it will have capacity, from
	// the recent durations of requests.
	RetryAfter time.Duration
	Err        error // what was full; wraps ErrOverloaded
}

// Error says what was full and when to ask again.
func (e *OverloadError) Error() string {
	return fmt.Sprintf("%v; room in about %v", e.Err, e.RetryAfter)
}

// Unwrap is Err.
func (e *OverloadError) Unwrap() error { return e.Err }
