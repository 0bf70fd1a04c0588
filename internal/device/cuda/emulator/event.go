package emulator

import (
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// event is a driver.Event. The mutex of its context guards it.
type event struct {
	c    *context
	last point // where it was recorded last
	when time.Time
	done uint64 // the turn of the last record that was reached
	// clock is what is ordered before that record.
	clock clock
}

// point is where a stream records an event: a place in its queue.
type point struct {
	s     *stream // nil if the event was never recorded
	place uint64
	turn  uint64 // how often the event was recorded
}

// reached reports whether the stream has come to the point. If not, it works
// that far. The caller holds the mutex of the context.
func (p point) reached() bool {
	if p.s == nil || p.s.finished >= p.place {
		return true
	}
	if p.s.demand < p.place {
		p.s.demand = p.place
		p.s.c.changed.Broadcast()
	}
	return false
}

// before is what is ordered before a point of the event that was reached. If
// another record was reached since, it is all that the stream did.
func (e *event) before(p point) clock {
	switch {
	case p.s == nil:
		return nil
	case e.done == p.turn:
		return e.clock
	}
	return p.s.clock
}

// reach notes that a stream has come to a record of the event.
func (e *event) reach(p point) {
	if p.turn > e.done {
		e.done, e.when = p.turn, time.Now()
		e.clock = append(e.clock[:0], p.s.clock...)
	}
}

func (e *event) Done() (bool, error) {
	if err := e.c.lost("cuEventQuery"); err != nil {
		return false, err
	}
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	if !e.last.reached() {
		return false, nil
	}
	e.c.waited(e.before(e.last))
	return true, nil
}

func (e *event) Synchronize() error {
	const call = "cuEventSynchronize"
	if err := e.c.enter(call, CallSynchronize, func(n *Counts) { n.Synchronizes++ }); err != nil {
		return err
	}
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	p := e.last
	for !p.reached() && !e.c.closed {
		e.c.changed.Wait()
	}
	if err := e.c.lost(call); err != nil {
		return err
	}
	e.c.waited(e.before(p))
	return nil
}

func (e *event) Since(earlier driver.Event) (time.Duration, error) {
	const call = "cuEventElapsedTime"
	other, ok := earlier.(*event)
	if !ok || other.c != e.c {
		return 0, NewError(call, InvalidHandle, "the other is no event of the context", false)
	}
	if err := e.c.lost(call); err != nil {
		return 0, err
	}
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	switch {
	case e.last.s == nil || other.last.s == nil:
		return 0, NewError(call, InvalidHandle, "an event was never recorded", false)
	case !e.last.reached() || !other.last.reached():
		return 0, NewError(call, NotReady, "an event is not done", false)
	}
	return e.when.Sub(other.when), nil
}

func (e *event) Close() error { return nil }
