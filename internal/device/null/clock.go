package null

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/halt"
)

// Clock is the time that passes for devices.
type Clock interface {
	// Now is the time since an origin of the clock's choice.
	Now() time.Duration
	// WaitUntil returns at time to, or when h says stop, and reports whether
	// time to has come.
	WaitUntil(to time.Duration, h halt.Func) bool
}

// Real is the time of the system, including the synthetic time of a
// testing/synctest bubble.
type Real struct{ start time.Time }

// NewReal starts a clock.
func NewReal() *Real { return &Real{time.Now()} }

// Now implements [Clock].
func (c *Real) Now() time.Duration { return time.Since(c.start) }

// askAgain is how long a wait sleeps between two halt checks.
const askAgain = time.Millisecond

// WaitUntil implements [Clock].
func (c *Real) WaitUntil(to time.Duration, h halt.Func) bool {
	for !h.Now() {
		left := to - c.Now()
		if left <= 0 {
			return true
		}
		<-time.After(min(left, askAgain))
	}
	return false
}

// Virtual is a clock that a wait moves to its end at once. It is deterministic
// with a single goroutine: a simulation gives each worker its own clock, takes
// the requests in order of arrival, and moves the clock of the worker that gets
// one to that time, see [Virtual.Advance]. Several goroutines may use one
// clock, in an order that the scheduler chooses; a testing/synctest bubble and
// [Real] order them.
type Virtual struct {
	mu     sync.Mutex
	now    time.Duration
	events []event // in the order of their times
}

type event struct {
	at time.Duration
	do func()
}

// Now implements [Clock].
func (c *Virtual) Now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// At calls f at time t, to cancel a run for example: in the wait or the advance
// that reaches t, and before a wait for t itself ends.
func (c *Virtual) At(t time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events = append(c.events, event{t, f})
	slices.SortStableFunc(c.events, func(a, b event) int { return cmp.Compare(a.at, b.at) })
}

// Advance moves the clock forward to t; it never moves back.
func (c *Virtual) Advance(t time.Duration) { c.WaitUntil(t, nil) }

// WaitUntil implements [Clock].
func (c *Virtual) WaitUntil(to time.Duration, h halt.Func) bool {
	for !h.Now() {
		do := c.next(to)
		if do == nil {
			return true
		}
		do()
	}
	return false
}

// next moves the clock to the next event up to a time, or to that time if there
// is none.
func (c *Virtual) next(to time.Duration) (do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.events) > 0 && c.events[0].at <= to {
		e := c.events[0]
		c.events = c.events[1:]
		c.now = max(c.now, e.at)
		return e.do
	}
	c.now = max(c.now, to)
	return nil
}
