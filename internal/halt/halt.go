// Package halt lets long work be stopped: kernels, copies and whatever else
// would run for longer than a caller that has gone should wait.
//
// Who computes asks a [Func] after every bounded piece of work and returns when
// it says so. A [Counter] asks after so much work, so that asking costs nothing
// beside the work. What was computed until then is of no use, and the caller,
// who knows why, says so.
package halt

// Func reports whether the work is to stop. Once it is true it stays true. It is
// asked from several goroutines, and may make them wait: for others whose turn
// it is. The nil Func never stops anything.
type Func func() bool

// Now asks.
func (f Func) Now() bool { return f != nil && f() }

// Every is the work after which a [Counter] asks, in products, elements or
// bytes: tens of microseconds of a fast kernel, and less than a millisecond of a
// plain loop.
const Every = 1 << 18

// Counter asks once for every [Every] of work, the first time at once.
type Counter struct {
	f       Func
	left    int
	stopped bool
}

// Counter begins to count.
func (f Func) Counter() Counter { return Counter{f: f} }

// Stop counts work that was done, or is about to be, and reports whether to
// stop: once it has said so it always does.
func (c *Counter) Stop(work int) bool {
	if c.left -= work; c.left > 0 || c.f == nil {
		return false
	}
	return c.ask()
}

func (c *Counter) ask() bool {
	c.stopped = c.stopped || c.f()
	if c.left = Every; c.stopped {
		c.left = 0
	}
	return c.stopped
}
