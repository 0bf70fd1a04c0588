package admission

import (
	"container/heap"
	"context"
	"fmt"
	"time"
)

// A run gives way to one that is expected to take at most a fourth of the time
// that it has gone itself, and not before leastTurn.
const (
	giveWay   = 4
	leastTurn = 2 * time.Millisecond
)

// Yield lets a much shorter run that waits go first, in the middle of this one. It
// is for long runs to call now and then: a call with nobody waiting costs a few
// nanoseconds. Who has given way waits like everybody else, as somebody whose run
// is nearly done; no more do so at once than there are places, as what a run holds
// it holds on to. waited is how long that took. The error wraps the cause of ctx;
// the ticket must be left then too.
func (t *Ticket) Yield(ctx context.Context) (waited time.Duration, err error) {
	s := t.f.s
	if s.waiters.Load() == 0 {
		return 0, nil
	}
	s.mu.Lock()
	now := s.now()
	if !t.givesWay(now.Sub(t.since)) {
		s.mu.Unlock()
		return 0, nil
	}
	t.settle()
	s.running--
	s.paused++
	t.slot, t.paused, t.charged, t.estimate = nil, true, 0, leastCost
	t.admitted = make(chan struct{})
	s.enqueue(t)
	s.dispatch()
	again := t.admitted
	s.mu.Unlock()
	select {
	case <-again:
		return s.now().Sub(now), nil
	case <-ctx.Done():
		return s.now().Sub(now), fmt.Errorf("genie: stopped while it let a shorter run go first: %w", context.Cause(ctx))
	}
}

func (t *Ticket) givesWay(gone time.Duration) bool {
	s := t.f.s
	if t.slot == nil || t.key != nil || len(s.ready) == 0 || s.paused >= s.most || gone < leastTurn {
		return false
	}
	return s.ready[0].waiting[0].estimate*giveWay <= gone
}

// enqueue lets a ticket wait.
func (s *Scheduler) enqueue(t *Ticket) {
	f, o := t.f, t.f.owner
	if len(o.waiting) == 0 {
		o.served = max(o.served, s.virtual)
	}
	f.served = max(f.served, o.virtual)
	s.seq++
	t.start, t.seq = f.served, s.seq
	heap.Push(&o.waiting, t)
	if len(o.waiting) == 1 {
		heap.Push(&s.ready, o)
	} else {
		heap.Fix(&s.ready, o.index)
	}
	s.waiting++
	s.waiters.Store(int64(s.waiting))
	if t.key != nil {
		s.alike[t.key] = append(s.alike[t.key], t)
	}
}
