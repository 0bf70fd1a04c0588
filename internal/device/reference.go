package device

import (
	"sync/atomic"
	"time"
)

// ReferenceCount counts the groups that were computed by the reference of an
// operator, and the time that this took. It is safe for concurrent use.
type ReferenceCount struct {
	groups, nanoseconds atomic.Int64
}

// Add counts a group.
func (c *ReferenceCount) Add(d time.Duration) {
	c.groups.Add(1)
	c.nanoseconds.Add(int64(d))
}

// Total is what has been counted.
func (c *ReferenceCount) Total() (groups int64, d time.Duration) {
	return c.groups.Load(), time.Duration(c.nanoseconds.Load())
}
