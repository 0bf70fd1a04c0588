package admission

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Options configure a [Scheduler].
type Options struct {
	// MaxRunning bounds the concurrent runs; 1 when it is less.
	MaxRunning int
	// Now is the clock; [time.Now] when nil.
	Now func() time.Time
}

// Scheduler shares the time of a worker. It is safe for concurrent use.
type Scheduler struct {
	now  func() time.Time
	most int
	open chan struct{} // closed: for runs that need not wait

	mu      sync.Mutex
	owners  map[string]*owner
	flows   int
	ready   owners // owners with waiting tickets
	virtual time.Duration
	running int
	going   []*Ticket // runs with a place
	paused  []*Ticket // paused runs; few
	waiting int
	seq     uint64
	mean    time.Duration     // of the cost of all runs
	held    map[any]*slot     // by key
	alike   map[any][]*Ticket // waiting runs, by key

	waiters atomic.Int64 // waiting runs, readable without the lock
}

// New makes a scheduler.
func New(o Options) *Scheduler {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Scheduler{
		now: o.Now, most: max(o.MaxRunning, 1), open: make(chan struct{}),
		owners: map[string]*owner{}, held: map[any]*slot{}, alike: map[any][]*Ticket{},
	}
	close(s.open)
	return s
}

// owner is one or more flows with a common share.
type owner struct {
	name    string // "" for the owner of a single flow without a name
	flows   int
	served  time.Duration // virtual time up to which it has been served
	virtual time.Duration // virtual time among its flows
	waiting tickets
	index   int // in ready
}

// Flow is a sequence of runs, such as those of a session. It is used by one
// goroutine at a time and must be closed.
type Flow struct {
	s      *Scheduler
	owner  *owner
	served time.Duration
	mean   time.Duration // of the cost of its runs
}

// slot is one of the places for runs; gathered runs share it.
type slot struct {
	key     any
	members int
	most    int // most runs at once so far
}

// Ticket is a waiting or running run.
type Ticket struct {
	f        *Flow
	key      any
	start    time.Duration // virtual
	estimate time.Duration // estimated cost
	seq      uint64
	index    int // in the owner's list
	admitted chan struct{}
	slot     *slot
	since    time.Time
	charged  time.Duration // before the cost of the run is known
	spent    time.Duration // before it paused
	left     bool
}

// Flow begins a flow of an owner, which shares with the owner's other flows. A
// flow of owner "" does not share.
func (s *Scheduler) Flow(name string) *Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.owners[name]
	if o == nil {
		o = &owner{name: name, served: s.virtual}
		if name != "" {
			s.owners[name] = o
		}
	}
	o.flows++
	s.flows++
	return &Flow{s: s, owner: o, served: o.virtual}
}

// Close ends a flow, which has no ticket any more.
func (f *Flow) Close() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.s.flows--
	if f.owner.flows--; f.owner.flows == 0 && f.owner.name != "" {
		delete(f.s.owners, f.owner.name)
	}
}

// Enter waits until a run may start, or until ctx ends, whose cause the error
// wraps. The run lasts until [Ticket.Leave].
//
// Runs with equal keys that are not nil are gathered: waiting ones start
// together, and one that arrives while another runs joins it when its turn is
// next. Together they take one place and pay for it in equal parts.
func (f *Flow) Enter(ctx context.Context, key any) (*Ticket, error) {
	t := f.Ask(key)
	select {
	case <-t.Admitted():
		return t, nil
	default:
	}
	select {
	case <-t.Admitted():
		return t, nil
	case <-ctx.Done():
		t.Leave()
		return nil, fmt.Errorf("genie: stopped while it waited for its turn: %w", context.Cause(ctx))
	}
}

// Ask is [Flow.Enter] without the wait. Leave must be called even for a ticket
// that was never admitted.
func (f *Flow) Ask(key any) *Ticket {
	s := f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &Ticket{f: f, key: key, estimate: f.mean}
	s.enqueue(t)
	s.dispatch()
	if t.slot != nil {
		t.admitted = s.open
	} else {
		t.admitted = make(chan struct{})
	}
	return t
}

// Admitted is closed when the run may start.
func (t *Ticket) Admitted() <-chan struct{} { return t.admitted }

// Company is the number of runs in the ticket's place, itself included; 0 while
// it waits.
func (t *Ticket) Company() int {
	t.f.s.mu.Lock()
	defer t.f.s.mu.Unlock()
	if t.slot == nil {
		return 0
	}
	return t.slot.members
}

// Leave ends the run, or the wait for it. Only the first call counts.
func (t *Ticket) Leave() {
	s := t.f.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.left {
		return
	}
	t.left = true
	if t.slot == nil {
		if t.spent > 0 {
			s.resume(t, nil)
		} else {
			s.unqueue(t)
		}
		s.dispatch()
		return
	}
	t.pay()
	s.stop(t)
	if t.slot.members--; t.slot.members == 0 {
		s.running--
		if t.key != nil {
			delete(s.held, t.key)
		}
	}
	s.dispatch()
}

// Load is the state of a scheduler at one moment.
type Load struct {
	Flows, Waiting int
	Running        int // places taken
	Paused         int // waiting in the middle of a run
}

// Load counts.
func (s *Scheduler) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Load{Flows: s.flows, Waiting: s.waiting, Running: s.running, Paused: len(s.paused)}
}
