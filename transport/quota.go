package transport

import "fmt"

// QuotaError says which quota of an identity a request would exceed. It is an
// [ErrQuota], on both sides of the wire.
type QuotaError struct {
	What  string // sessions, bytes, plans or calls
	Limit int64  // maximum at a time
	Used  int64  // current use
	Want  int64  // what the request would add
}

// Error names the quota, its limit and its use.
func (e *QuotaError) Error() string {
	return fmt.Sprintf("%v: %s: %d in use and %d wanted, the limit is %d", ErrQuota, e.What, e.Used, e.Want, e.Limit)
}

// Unwrap is [ErrQuota].
func (e *QuotaError) Unwrap() error { return ErrQuota }
