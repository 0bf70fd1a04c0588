package admission

import (
	"cmp"
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
// nanoseconds. Who has given way goes on before all other long runs, and before
// short ones whose owners have had as much time as its own; no more give way at
// once than there are places, as what a run holds it holds on to. waited is how long that took. The error wraps the cause of ctx;
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
	t.slot, t.charged, t.admitted = nil, 0, make(chan struct{})
	s.paused = append(s.paused, t)
	s.waits(1)
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
	if t.slot == nil || t.key != nil || len(s.ready) == 0 || len(s.paused) >= s.most || gone < leastTurn {
		return false
	}
	return s.ready[0].waiting[0].muchShorter(gone)
}

// muchShorter reports whether a run is known to take much less than d.
func (t *Ticket) muchShorter(d time.Duration) bool {
	return t.f.mean > 0 && t.estimate*giveWay <= d
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

// goesOn is the run that has given way which is next before all tickets that wait,
// if there is one.
func (s *Scheduler) goesOn() *Ticket {
	if len(s.paused) == 0 {
		return nil
	}
	t := slices.MinFunc(s.paused, func(a, b *Ticket) int { return cmp.Compare(a.f.owner.served, b.f.owner.served) })
	if len(s.ready) == 0 {
		return t
	}
	next := s.ready[0]
	if !next.waiting[0].muchShorter(t.spent) || t.f.owner.served <= next.finish() {
		return t
	}
	return nil
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
