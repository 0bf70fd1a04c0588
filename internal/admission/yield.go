package admission

import (
	"container/heap"
	"context"
	"fmt"
	"slices"
	"time"
)

// A run yields to one that is expected to take at most a fourth of the time
// that it has run itself, and not before leastTurn. After a slice, a run yields
// to any run whose owner has been served less, however long that run takes: no
// run delays another owner's for longer than a slice.
const (
	giveWay   = 4
	leastTurn = 2 * time.Millisecond
	slice     = 10 * time.Millisecond
)

// Yield lets a waiting run go first, in the middle of this one. Runs call it
// now and then; a call while no run waits costs a few nanoseconds. A paused run
// resumes when its owner's turn comes. It keeps its resources meanwhile, as do
// runs that wait to begin. waited is the duration of the pause. The error wraps
// the cause of ctx; the ticket must be left then too.
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
		return s.now().Sub(now), fmt.Errorf("genie: stopped while it let another run go first: %w", context.Cause(ctx))
	}
}

// steps pauses the ticket for another run, if one is to go first. It returns a
// channel that is closed when the ticket resumes, or nil when it need not stop.
func (t *Ticket) steps(now time.Time) <-chan struct{} {
	s := t.f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	other := t.givesWay(now)
	if other == nil {
		return nil
	}
	t.settle()
	s.running--
	s.stop(t)
	t.slot, t.charged, t.admitted = nil, 0, make(chan struct{})
	if other.spent > 0 {
		s.resume(other, &slot{})
	} else {
		s.let(other)
	}
	s.paused = append(s.paused, t)
	s.waits(1)
	s.dispatch()
	return t.admitted
}

// givesWay finds the run to lend the place to, nil for none: a much shorter
// one, or one of an owner that has been served less.
func (t *Ticket) givesWay(now time.Time) *Ticket {
	if t.slot == nil || t.key != nil {
		return nil
	}
	gone := now.Sub(t.since)
	if short := t.shorter(gone); short != nil {
		return short
	}
	if gone < slice {
		return nil
	}
	return t.poorer(t.had(now))
}

// shorter is the next of the runs that are known to be much shorter. Long
// waiting runs lose little by it: the place would not be theirs, and its owner
// has used at least four fifths of it when it lends it again.
func (t *Ticket) shorter(gone time.Duration) (short *Ticket) {
	s := t.f.s
	if gone < leastTurn {
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

// poorer is the next run of another owner, begun or not, that will have been
// served less than this one's owner after a slice.
func (t *Ticket) poorer(had time.Duration) (other *Ticket) {
	s, least := t.f.s, had
	for _, o := range s.ready {
		if begin := o.begin(); o != t.f.owner && begin < least {
			other, least = o.waiting[0], begin
		}
	}
	if p := s.firstPaused(t.f.owner); p != nil && p.f.owner.served+slice < least {
		other = p
	}
	return other
}

// enqueue makes a ticket wait.
func (s *Scheduler) enqueue(t *Ticket) {
	f, o := t.f, t.f.owner
	s.advance()
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

// advance moves the virtual time forward to that of the run that has been
// served least: an owner that was idle while others ran has no credit.
func (s *Scheduler) advance() {
	if len(s.going) == 0 {
		return
	}
	now := s.now()
	least := s.going[0].had(now)
	for _, t := range s.going[1:] {
		least = min(least, t.had(now))
	}
	s.virtual = max(s.virtual, least)
}

// stop removes a run from the running ones.
func (s *Scheduler) stop(t *Ticket) {
	s.going = slices.DeleteFunc(s.going, func(o *Ticket) bool { return o == t })
}

// waits counts the waiting runs.
func (s *Scheduler) waits(n int) {
	s.waiting += n
	s.waiters.Store(int64(s.waiting))
}

// resume lets a run resume, or removes it from the paused ones.
func (s *Scheduler) resume(t *Ticket, place *slot) {
	s.paused = slices.DeleteFunc(s.paused, func(o *Ticket) bool { return o == t })
	s.waits(-1)
	if place == nil {
		return
	}
	s.running++
	place.members, place.most = 1, 1
	t.slot, t.since = place, s.now()
	s.going = append(s.going, t)
	close(t.admitted)
}
