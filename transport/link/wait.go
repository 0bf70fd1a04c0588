package link

import "time"

const (
	// fine is the part of a wait that Go's timers are too coarse for.
	fine = 2 * time.Millisecond
	// spin is the part of a wait that any timer is too coarse for: a sleeping
	// processor takes that long to resume.
	spin = 80 * time.Microsecond
)

// waiter waits for moments. It belongs to one goroutine.
type waiter struct {
	timer   *time.Timer
	precise preciseTimer // nil: Go's timers only
}

// preciseTimer sleeps for less than fine, and returns early rather than late.
type preciseTimer interface {
	sleep(d time.Duration) error
	close()
}

func newWaiter(plain bool) *waiter {
	w := &waiter{}
	if !plain {
		w.precise = newPreciseTimer()
	}
	return w
}

// wait waits for d, or until wake is readable. It may return early: the caller
// checks the clock and waits again.
func (w *waiter) wait(d time.Duration, wake <-chan struct{}) {
	if w.precise == nil {
		w.coarse(d, wake)
		return
	}
	if d > fine {
		w.coarse(d-fine, wake)
		return
	}
	until := time.Now().Add(d)
	if d > spin {
		if err := w.precise.sleep(d - spin); err != nil {
			w.coarse(d, wake)
			return
		}
	}
	yieldUntil(until)
}

func (w *waiter) coarse(d time.Duration, wake <-chan struct{}) {
	if w.timer == nil {
		w.timer = time.NewTimer(d)
	} else {
		w.timer.Reset(d)
	}
	select {
	case <-w.timer.C:
	case <-wake:
		w.timer.Stop()
	}
}

func (w *waiter) close() {
	if w.timer != nil {
		w.timer.Stop()
	}
	if w.precise != nil {
		w.precise.close()
	}
}
