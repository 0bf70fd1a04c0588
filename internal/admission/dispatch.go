package admission

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// leastCost is what a run costs at least, so that a clock that stands still
// starves nobody.
const leastCost = time.Microsecond

// dispatch lets in whoever can go: the next in turn while there is a place, or
// while it may share one. Runs that have given way take their turn among those that
// have not begun.
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

// firstPaused is the run, of those that have given way and are not one owner's,
// whose owner has had least.
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

// let lets a ticket in that is its owner's next, into the place that it may share
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

// gather lets in those that wait with the same key. Who has another flow of its
// owner before it waits all the same: going along costs the owner, and the flow
// that waits would never come to its turn.
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

// admit lets a ticket go. It is charged at once for what its runs cost as a rule,
// or an owner with many flows would take every place before it has paid for one.
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

// unqueue takes a ticket out of all lists.
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

// charge counts d as time that the flow and its owner were served.
func (t *Ticket) charge(d time.Duration) {
	t.charged += d
	o := t.f.owner
	t.f.served += d
	o.served += d
	if len(o.waiting) > 0 {
		heap.Fix(&t.f.s.ready, o.index)
	}
}

// settle puts what the run took in the place of what it was charged.
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

// learn is a mean in which the last four costs or so count.
func learn(mean, cost time.Duration) time.Duration {
	if mean == 0 {
		return cost
	}
	return mean + (cost-mean)/4
}

// finish is the virtual time at which the run ends if it costs what the flow's
// runs do as a rule; a flow's first run is taken to cost nothing.
func (t *Ticket) finish() time.Duration { return t.start + t.estimate }

// begin is when the owner's next run would have had its first slice.
func (o *owner) begin() time.Duration { return o.served + min(o.waiting[0].estimate, slice) }

// had is the virtual time up to which the owner of a run has been served, with what
// the run has taken so far.
func (t *Ticket) had(now time.Time) time.Duration {
	return t.f.owner.served - t.charged + now.Sub(t.since)/time.Duration(t.slot.most)
}

// finish is the same among owners, of the owner's next run.
func (o *owner) finish() time.Duration { return o.served + o.waiting[0].estimate }

// tickets of one owner, the next in turn first.
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

// owners that have somebody waiting, the next in turn first.
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
