package admission

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// leastCost is the minimum cost of a run, so that a stopped clock starves no
// flow.
const leastCost = time.Microsecond

// dispatch admits every run that can start: the next in turn while there is a
// place, or while it may share one. Paused runs take their turn among those
// that have not begun.
func (s *Scheduler) dispatch() {
	for {
		var t *Ticket
		if len(s.ready) > 0 {
			t = s.ready[0].waiting[0]
		}
		p := s.firstPaused(nil)
		switch {
		case t != nil && s.shared(t.key) != nil:
			s.let(t)
		case s.running >= s.most, t == nil && p == nil:
			return
		case p != nil && (t == nil || p.f.owner.served <= t.f.owner.begin()):
			s.resume(p, &slot{})
		default:
			s.let(t)
		}
	}
}

// firstPaused is the paused run of another owner whose owner has been served
// least.
func (s *Scheduler) firstPaused(but *owner) (first *Ticket) {
	for _, t := range s.paused {
		if t.f.owner == but {
			continue
		}
		if first == nil || t.f.owner.served < first.f.owner.served {
			first = t
		}
	}
	return first
}

// let admits a ticket that is its owner's next, into a place that it may share
// or into another.
func (s *Scheduler) let(t *Ticket) {
	place := s.shared(t.key)
	if place == nil {
		s.running++
		place = &slot{key: t.key}
	}
	o := t.f.owner
	s.virtual = max(s.virtual, o.served)
	o.virtual = max(o.virtual, t.start)
	s.admit(t, place)
	if t.key != nil {
		s.held[t.key] = place
		s.gather(t.key, place)
	}
}

// gather admits the waiting runs with the same key. A run that has another flow
// of its owner before it keeps waiting: joining costs the owner, and the
// waiting flow would never get its turn.
func (s *Scheduler) gather(key any, place *slot) {
	for again := true; again; {
		again = false
		for _, t := range slices.Clone(s.alike[key]) {
			if t.f.owner.waiting[0] == t {
				s.admit(t, place)
				again = true
			}
		}
	}
}

func (s *Scheduler) shared(key any) *slot {
	if key == nil {
		return nil
	}
	return s.held[key]
}

// admit starts a ticket's run. It charges the usual cost at once; otherwise an
// owner with many flows would take every place before it has paid for one.
func (s *Scheduler) admit(t *Ticket, place *slot) {
	s.unqueue(t)
	t.slot, t.since = place, s.now()
	s.going = append(s.going, t)
	place.members++
	place.most = max(place.most, place.members)
	if t.f.mean > 0 {
		t.charge(t.estimate)
	} else {
		t.charge(max(s.mean, leastCost))
	}
	if t.admitted != nil {
		close(t.admitted)
	}
}

// unqueue removes a ticket from all lists.
func (s *Scheduler) unqueue(t *Ticket) {
	o := t.f.owner
	heap.Remove(&o.waiting, t.index)
	if len(o.waiting) == 0 {
		heap.Remove(&s.ready, o.index)
	} else {
		heap.Fix(&s.ready, o.index)
	}
	s.waits(-1)
	if t.key == nil {
		return
	}
	list := s.alike[t.key]
	if list = slices.DeleteFunc(list, func(o *Ticket) bool { return o == t }); len(list) == 0 {
		delete(s.alike, t.key)
	} else {
		s.alike[t.key] = list
	}
}

// charge counts d as time for which the flow and its owner were served.
func (t *Ticket) charge(d time.Duration) {
	t.charged += d
	o := t.f.owner
	t.f.served += d
	o.served += d
	if len(o.waiting) > 0 {
		heap.Fix(&t.f.s.ready, o.index)
	}
}

// settle replaces the charge by what the run took.
func (t *Ticket) settle() {
	cost := max(t.f.s.now().Sub(t.since)/time.Duration(t.slot.most), leastCost)
	t.charge(cost - t.charged)
	t.spent += cost
}

// pay settles at the end of a run and learns from it.
func (t *Ticket) pay() {
	t.settle()
	t.f.mean = learn(t.f.mean, t.spent)
	t.f.s.mean = learn(t.f.s.mean, t.spent)
}

// learn is a mean in which about the last four costs count.
func learn(mean, cost time.Duration) time.Duration {
	if mean == 0 {
		return cost
	}
	return mean + (cost-mean)/4
}

// finish is the virtual time at which the run ends if it costs what the flow's
// runs usually do. A flow's first run is assumed to cost nothing.
func (t *Ticket) finish() time.Duration { return t.start + t.estimate }

// begin is when the owner's next run would have had its first slice.
func (o *owner) begin() time.Duration { return o.served + min(o.waiting[0].estimate, slice) }

// had is the virtual time up to which the owner of a run has been served,
// including what the run has taken so far.
func (t *Ticket) had(now time.Time) time.Duration {
	return t.f.owner.served - t.charged + now.Sub(t.since)/time.Duration(t.slot.most)
}

// finish compares owners by their next runs in the same way.
func (o *owner) finish() time.Duration { return o.served + o.waiting[0].estimate }

// tickets of one owner, next in turn first.
type tickets []*Ticket

func (q tickets) Len() int { return len(q) }
func (q tickets) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].finish(), q[j].finish()), cmp.Compare(q[i].seq, q[j].seq)) < 0
}

func (q tickets) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *tickets) Push(x any) {
	t := x.(*Ticket)
	t.index = len(*q)
	*q = append(*q, t)
}

func (q *tickets) Pop() any {
	last := len(*q) - 1
	t := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return t
}

// owners with waiting tickets, next in turn first.
type owners []*owner

func (q owners) Len() int { return len(q) }
func (q owners) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(q[i].finish(), q[j].finish()), cmp.Compare(q[i].waiting[0].seq, q[j].waiting[0].seq)) < 0
}

func (q owners) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = i, j
}

func (q *owners) Push(x any) {
	o := x.(*owner)
	o.index = len(*q)
	*q = append(*q, o)
}

func (q *owners) Pop() any {
	last := len(*q) - 1
	o := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return o
}
