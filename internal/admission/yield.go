package admission

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
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
// nanoseconds. Who has given way goes on in the next place that is free; no more
// give way at once than there are places, as what a run holds it holds on to. waited is how long that took. The error wraps the cause of ctx;
// the ticket must be left then too.
func (t *Ticket) Yield(ctx context.Context) (waited time.Duration, err error) {
	s := t.f.s
	if s.waiters.Load() == 0 {
		return 0, nil
	}
	now := s.now()
	again := t.steps(now)
	if again == nil {
		return 0, nil
	}
	select {
	case <-again:
		return s.now().Sub(now), nil
	case <-ctx.Done():
		return s.now().Sub(now), fmt.Errorf("genie: stopped while it let a shorter run go first: %w", context.Cause(ctx))
	}
}

// steps aside for a shorter run, if one waits: what it returns is closed when the
// ticket goes on, and nil when it need not stop.
func (t *Ticket) steps(now time.Time) <-chan struct{} {
	s := t.f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	short := t.givesWay(now.Sub(t.since))
	if short == nil {
		return nil
	}
	t.settle()
	s.running--
	t.slot, t.charged, t.admitted = nil, 0, make(chan struct{})
	s.paused = append(s.paused, t)
	s.waits(1)
	s.let(short)
	s.dispatch()
	return t.admitted
}

// givesWay finds the run to lend the place to: the next of those that are known to
// be much shorter. It is nil for none. Long runs that wait lose little by it: the
// place would not be theirs, and its owner has had four fifths of it at least when
// it lends it again.
func (t *Ticket) givesWay(gone time.Duration) (short *Ticket) {
	s := t.f.s
	if t.slot == nil || t.key != nil || len(s.paused) >= s.most || gone < leastTurn {
		return nil
	}
	for _, o := range s.ready {
		next := o.waiting[0]
		if next.f.mean == 0 || next.estimate*giveWay > gone {
			continue
		}
		if short == nil || o.finish() < short.f.owner.finish() {
			short = next
		}
	}
	return short
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
	s.waits(1)
	if t.key != nil {
		s.alike[t.key] = append(s.alike[t.key], t)
	}
}

// waits counts those that wait.
func (s *Scheduler) waits(n int) {
	s.waiting += n
	s.waiters.Store(int64(s.waiting))
}

// resume lets a run go on, or takes it out of those that have given way.
func (s *Scheduler) resume(t *Ticket, place *slot) {
	s.paused = slices.DeleteFunc(s.paused, func(o *Ticket) bool { return o == t })
	s.waits(-1)
	if place == nil {
		return
	}
	s.running++
	place.members, place.most = 1, 1
	t.slot, t.since = place, s.now()
	close(t.admitted)
}
