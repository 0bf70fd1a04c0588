package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/genie-sdk/go/transport"
)

// A lost device is opened anew, at once after the first loss and after growing
// delays when it is lost, or cannot be opened, again and again. A device that
// stays for a while is as good as a new one.
const (
	// maxLosses is the number of losses, and of attempts to open the device, in
	// a row after which the engine gives the device up.
	maxLosses = 8
	// renewAfter is the delay after the second loss; it doubles with each.
	renewAfter = 100 * time.Millisecond
	// staysFor is how long a device must have been open for its loss to be a
	// first one.
	staysFor = time.Minute
	// drainTime is how long the device is not opened again while what was on the
	// lost one still counts: so nobody is refused for memory that is gone. Calls
	// that are in progress then, such as one whose answer a client does not
	// read, are not waited for any longer.
	drainTime = 2 * time.Second
)

// DeviceState is what [Engine.OnDevice] reports.
type DeviceState uint8

// The states.
const (
	DeviceLost    DeviceState = iota // it is being opened anew
	DeviceOpen                       // it has been opened anew
	DeviceGivenUp                    // it will not be opened again
)

// OnDevice makes the engine call f when its device is lost, is opened anew, and
// is given up. err is what happened, nil for DeviceOpen. f must not call the
// engine.
func (e *Engine) OnDevice(f func(s DeviceState, err error)) { e.onDevice.Store(&f) }

func (e *Engine) tell(s DeviceState, err error) {
	if f := e.onDevice.Load(); f != nil {
		(*f)(s, err)
	}
}

// Ready is nil while the device is open. Otherwise the error wraps
// [transport.ErrDevice], and givenUp means that only another engine helps.
func (e *Engine) Ready() (givenUp bool, err error) {
	on := e.current.Load()
	select {
	case <-on.opened:
	default:
		return false, fmt.Errorf("%w: it is being opened anew", transport.ErrDevice)
	}
	if on.err != nil {
		return true, on.err
	}
	if lost := on.lost.Load(); lost != nil {
		return false, *lost
	}
	return false, nil
}

// lose replaces the incarnation by another one, which opens when the device can
// be opened again. It is called by the device, and waits for nothing.
func (on *incarnation) lose(err error, freed <-chan struct{}) {
	if !on.losing.CompareAndSwap(false, true) {
		return
	}
	next := newIncarnation(on.e, on)
	on.e.current.Store(next)
	on.lost.Store(&err)
	go on.e.renew(on, next, err, freed)
}

// renew drops what was on a lost device, and opens the device anew.
func (e *Engine) renew(old, next *incarnation, cause error, freed <-chan struct{}) {
	<-old.settled
	defer close(next.settled)
	if !e.begins() {
		next.err = fmt.Errorf("%w: engine", transport.ErrClosed)
		close(next.opened)
		return // the engine closes, and drops everything
	}
	defer e.renewing.Done()
	e.tell(DeviceLost, cause)
	drained := make(chan struct{})
	e.renewing.Go(func() {
		defer close(drained)
		e.drain(old, next)
	})
	select {
	case <-freed:
	case <-e.life.Done():
	}
	late := time.NewTimer(drainTime)
	defer late.Stop()
	select {
	case <-drained:
	case <-late.C:
	case <-e.life.Done():
	}
	e.reopen(next, cause)
}

// begins counts a renewal, unless the engine closes.
func (e *Engine) begins() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.renewing.Add(1)
	}
	return !e.closed
}

// reopen opens the device, or gives it up.
func (e *Engine) reopen(next *incarnation, cause error) {
	for {
		delay, more := e.losses.next(time.Now())
		if !more {
			next.err = fmt.Errorf("%w: it has been lost %d times in a row and is not opened again: %w", transport.ErrDevice, maxLosses, cause)
			break
		}
		if !e.sleeps(delay) {
			next.err = fmt.Errorf("%w: engine", transport.ErrClosed)
			break
		}
		if cause = next.open(); cause == nil {
			e.losses.opens(time.Now())
			e.tell(DeviceOpen, nil)
			return
		}
	}
	e.tell(DeviceGivenUp, next.err)
	close(next.opened)
}

// sleeps waits, unless the engine is closed.
func (e *Engine) sleeps(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return e.life.Err() == nil
	case <-e.life.Done():
		return false
	}
}

// losses are the losses in a row. Only the goroutine of a renewal uses them, of
// which there is one at a time: the device is lost again only after it was
// opened.
type losses struct {
	n      int
	opened time.Time
}

// next counts a loss. It returns how long to wait before the device is opened
// again, and false when that is of no use.
func (l *losses) next(now time.Time) (delay time.Duration, more bool) {
	if now.Sub(l.opened) >= staysFor {
		l.n = 0
	}
	l.opened = now // a failed attempt is no reason to begin again
	if l.n++; l.n >= maxLosses {
		return 0, false
	}
	if l.n > 1 {
		delay = renewAfter << (l.n - 2)
	}
	return delay, true
}

func (l *losses) opens(now time.Time) { l.opened = now }

// drain drops everything that was on a lost device, so that it counts no
// longer, and closes what is left of the device. Calls that are in progress
// fail by themselves; it waits for them last.
func (e *Engine) drain(old, next *incarnation) {
	e.forgetPrograms(old)
	for _, w := range old.openWriters() {
		w.Abort()
	}
	busy := slices.DeleteFunc(e.openSessions(), func(s *Session) bool {
		return s.on != old || s.losesAtOnce()
	})
	for _, s := range busy {
		s.loses()
	}
	old.quiet()
	old.close()
	next.before = nil
}

// loses drops what a session has on a lost device, after its running call.
func (s *Session) loses() {
	s.run.Lock()
	defer s.run.Unlock()
	s.dropLost()
}

// losesAtOnce is loses unless a call runs.
func (s *Session) losesAtOnce() bool {
	if !s.run.TryLock() {
		return false
	}
	defer s.run.Unlock()
	s.dropLost()
	return true
}

func (s *Session) dropLost() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropAll()
}

// forgetPrograms drops the programs of a lost device; those that sessions use
// are dropped with these.
func (e *Engine) forgetPrograms(old *incarnation) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.programs {
		if p.on == old {
			e.forgetLost(p)
		}
	}
}

// forgetLost drops a program of a lost device. The caller holds the engine's
// lock.
func (e *Engine) forgetLost(p *Program) {
	delete(e.programs, p.hash)
	if p.idle != nil {
		e.wakes(p)
		e.uncount(p)
	}
}
