// Package halt stops long work: kernels, copies and everything else that would
// run for longer than a caller that has gone should wait.
//
// Work calls a [Func] after every bounded step and returns when it is true. A
// [Counter] calls it after a certain amount of work, which makes the checks
// free beside the work. The partial results are of no use. The caller knows the
// reason and reports it.
package halt

// Func reports whether the work is to stop. Once it is true it stays true. It
// is called from several goroutines, and may block them: while others have
// their turn. The nil Func never stops anything.
type Func func() bool

// Now calls f.
func (f Func) Now() bool { return f != nil && f() }

// Every is the work after which a [Counter] checks, in products, elements or
// bytes: tens of microseconds of a fast kernel, and less than a millisecond of
// a plain loop.
const Every = 1 << 18

// Counter checks once for every [Every] of work, the first time at once.
type Counter struct {
	f       Func
	left    int
	stopped bool
}

// Counter begins to count.
func (f Func) Counter() Counter { return Counter{f: f} }

// Stop counts work that was done, or is about to be, and reports whether to
// stop. Once true, it stays true.
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
