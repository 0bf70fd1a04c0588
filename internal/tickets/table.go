package tickets

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
)

// DefaultLinger is how long a transfer that was cut short may be resumed.
const DefaultLinger = 30 * time.Second

// usedTickets is how many used tickets an owner remembers, so that a sender whose
// answer was lost learns that it had succeeded.
const usedTickets = 64

// Sink takes what a ticket is for; an engine's Arriving is one.
type Sink interface {
	Handle() transport.Handle
	Size() int64
	// Write stores bytes from an offset on.
	Write(b []byte, off int64) error
	// Arrived is called when all of it has been written.
	Arrived(ctx context.Context) error
}

// Table is the open tickets of a process.
type Table struct {
	linger time.Duration

	mu   sync.Mutex
	next uint64
	by   map[uint64]*ticket
}

// New makes a table; linger is how long a transfer that was cut short may be
// resumed.
func New(linger time.Duration) *Table {
	return &Table{linger: linger, by: map[uint64]*ticket{}}
}

// Owner is the session that the tickets are for. Its fields are guarded by the
// lock of its table.
type Owner struct {
	t        *Table
	closed   bool
	byHandle map[transport.Handle]*ticket // open
	used     []uint64                     // the last ones
}

// NewOwner makes an owner without tickets.
func (t *Table) NewOwner() *Owner {
	return &Owner{t: t, byHandle: map[transport.Handle]*ticket{}}
}

// ticket is one of them. Fields that change are guarded by the lock of the table.
type ticket struct {
	id      uint64
	secret  [32]byte
	spec    transport.TicketSpec
	sink    Sink
	owner   *Owner
	ended   func(arrived bool) // called once, without a lock
	expires time.Time

	writes chan struct{} // one token: its holder writes to the sink

	timer  *time.Timer
	got    int64
	uses   uint64 // presentations; the last one may write
	busy   bool   // a presentation is under way
	ending bool   // all has come and is being put in its place
	used   bool   // it is in its place
	gone   bool
}

// Issue makes a ticket. ended is called once, when what it is for has arrived or
// never will.
func (o *Owner) Issue(spec transport.TicketSpec, sink Sink, ended func(arrived bool)) (transport.Ticket, error) {
	life := spec.Lifetime
	if life <= 0 || life > transport.TicketLifetime {
		life = transport.TicketLifetime
	}
	k := &ticket{spec: spec, sink: sink, owner: o, ended: ended, expires: time.Now().Add(life), writes: make(chan struct{}, 1)}
	_, _ = rand.Read(k.secret[:]) // never fails
	k.writes <- struct{}{}
	if err := o.add(k, life); err != nil {
		return transport.Ticket{}, err
	}
	return transport.Ticket{Handle: sink.Handle(), ID: k.id, Secret: k.secret, Size: sink.Size(), Expires: k.expires, Spec: spec}, nil
}

// Full reports whether the owner can have no more tickets now.
func (o *Owner) Full() error {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	return o.full()
}

func (o *Owner) full() error {
	if o.closed {
		return fmt.Errorf("%w: session", transport.ErrClosed)
	}
	if len(o.byHandle) >= transport.MaxTickets {
		return fmt.Errorf("%w: %d tickets of the session are open", transport.ErrLimit, len(o.byHandle))
	}
	return nil
}

// add lists a ticket.
func (o *Owner) add(k *ticket, life time.Duration) error {
	t := o.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := o.full(); err != nil {
		return err
	}
	t.next++
	k.id = t.next
	t.by[k.id] = k
	o.byHandle[k.sink.Handle()] = k
	k.timer = time.AfterFunc(life, func() { t.expire(k) })
	return nil
}

// expire ends a ticket whose time is over, unless it is in use.
func (t *Table) expire(k *ticket) {
	if t.ends(k, func() bool { return !k.busy }) {
		k.ended(false)
	}
}

// ends removes an open ticket if may says so, and reports whether it did.
func (t *Table) ends(k *ticket, may func() bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if k.gone || k.ending || !may() {
		return false
	}
	t.remove(k)
	return true
}

// remove takes a ticket from the lists. The caller holds the lock.
func (t *Table) remove(k *ticket) {
	k.gone = true
	k.timer.Stop()
	delete(t.by, k.id)
	delete(k.owner.byHandle, k.sink.Handle())
}

// TakeBack ends the ticket for a handle, if there is one.
func (o *Owner) TakeBack(h transport.Handle) {
	if k := o.open(h); k != nil && o.t.ends(k, func() bool { return true }) {
		k.ended(false)
	}
}

func (o *Owner) open(h transport.Handle) *ticket {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	return o.byHandle[h]
}

// Close ends all tickets of the owner, which can have no more.
func (o *Owner) Close() {
	for _, k := range o.close() {
		if o.t.ends(k, func() bool { return true }) {
			k.ended(false)
		}
	}
}

func (o *Owner) close() (open []*ticket) {
	o.t.mu.Lock()
	defer o.t.mu.Unlock()
	o.closed = true
	for _, k := range o.byHandle {
		open = append(open, k)
	}
	for _, id := range o.used {
		delete(o.t.by, id)
	}
	o.used = nil
	return open
}

// Open is the number of tickets that can still be used.
func (t *Table) Open() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.by {
		if !k.used {
			n++
		}
	}
	return n
}
