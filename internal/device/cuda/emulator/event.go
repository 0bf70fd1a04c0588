package emulator

import (
	"time"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// event is a driver.Event. The mutex of its context guards it.
type event struct {
	c     *context
	turn  uint64 // how often it was recorded
	done  uint64 // which of these was reached last
	by    *stream
	place uint64 // in the queue of that stream
	clock clock
	when  time.Time
}

// reached notes that a stream has reached the event.
func (e *event) reached(s *stream, turn uint64) {
	e.done = max(e.done, turn)
	e.clock = append(e.clock[:0], s.clock...)
	e.when = time.Now()
}

// demand makes the stream that records the event work that far.
func (e *event) demand() {
	if e.by != nil && e.by.demand < e.place {
		e.by.demand = e.place
		e.c.changed.Broadcast()
	}
}

func (e *event) Done() (bool, error) {
	if err := e.c.lost("cuEventQuery"); err != nil {
		return false, err
	}
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	e.demand()
	if e.done < e.turn {
		return false, nil
	}
	e.c.waited(e.clock)
	return true, nil
}

func (e *event) Synchronize() error {
	if err := e.c.enter("cuEventSynchronize", CallSynchronize, func(n *Counts) { n.Synchronizes++ }); err != nil {
		return err
	}
	e.c.mu.Lock()
	defer e.c.mu.Unlock()
	for turn := e.turn; e.done < turn && !e.c.closed; {
		e.demand()
		e.c.changed.Wait()
	}
	if err := e.c.lost("cuEventSynchronize"); err != nil {
		return err
	}
	e.c.waited(e.clock)
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
	case e.turn == 0 || other.turn == 0:
		return 0, NewError(call, InvalidHandle, "an event was never recorded", false)
	case e.done < e.turn || other.done < other.turn:
		return 0, NewError(call, NotReady, "an event is not done", false)
	}
	return e.when.Sub(other.when), nil
}

func (e *event) Close() error { return nil }
