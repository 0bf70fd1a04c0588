package connlimit

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
)

// The parts of the connections.
const (
	// StrangerPart is the part of all connections that strangers have: one in so
	// many.
	StrangerPart = 8
	// MinStrangers is how many strangers there may be however few connections
	// there are, as long as there are as many.
	MinStrangers = 16
	// AddressPercent is the part of the strangers' connections that one address has.
	AddressPercent = 75
	// IdentityPart is the part of the connections that other identities leave that
	// one identity has: one in so many.
	IdentityPart = 2
	// Grace is how long a stranger stays, however crowded it is: enough for the
	// round trips of a handshake. Where there is no room, connections are taken no
	// faster than that lets strangers go; the others wait in the listener's queue.
	Grace = 200 * time.Millisecond
)

// reportEvery is how often it is said that strangers had to go.
const reportEvery = 10 * time.Second

// Options configure a [Table].
type Options struct {
	// Max bounds the connections.
	Max int
	// Share is how many strangers there may be; their part of Max when 0.
	Share int
	// Named says that clients have identities, so that one of them does not get
	// all connections.
	Named bool
	// Time is how long a stranger may be there that [Table.Enter] gives a time.
	Time time.Duration
	// Bytes bounds what a connection of [Table.Listener] sends as a stranger's; 0 for
	// no bound.
	Bytes int
	// Rest is what may come on top of that when its streams have ended: what was
	// on its way.
	Rest int
	// Ended is closed when nobody is let in any more.
	Ended <-chan struct{}
	// Counted is called with changes of the number of strangers, and with
	// strangers that had to go for others; it may be nil.
	Counted func(strangers, evicted int)
	// Crowded is told, now and then, how many strangers had to go for others since
	// the last time; it may be nil.
	Crowded func(n int)
}

// Table is the connections of a worker. It is safe for concurrent use.
type Table struct {
	o     Options
	share int // of strangers
	each  int // of the strangers of one address

	mu        sync.Mutex
	strangers *list.List // of *Guest, the oldest first
	from      map[netip.Addr]int
	known     int
	by        map[string]int // known, by identity
	freed     chan struct{}  // closed when there is more room; nil while nobody waits
	evicted   int            // since the last report
	reported  time.Time
}

// New makes a table.
func New(o Options) *Table {
	share := o.Share
	if share == 0 {
		share = min(max(o.Max/StrangerPart, MinStrangers), o.Max)
	}
	if o.Counted == nil {
		o.Counted = func(int, int) {}
	}
	if o.Crowded == nil {
		o.Crowded = func(int) {}
	}
	return &Table{
		o: o, share: share, each: max(share*AddressPercent/100, min(share, MinStrangers/2)),
		strangers: list.New(), from: map[netip.Addr]int{}, by: map[string]int{},
	}
}

// Enter lets a connection in, as a stranger's. Where there is no room, the oldest
// stranger goes: of its address if that has its part, else of the address that
// has the most. That one has had its [Grace] then, which Enter waits for. end ends
// a connection at once; it may be called by any goroutine. timed bounds the time
// as a stranger.
func (t *Table) Enter(from string, end func(), timed bool) (*Guest, error) {
	g := &Guest{t: t, from: Network(from), end: end, timed: timed}
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		old, full := t.inTheWay(g.from)
		if !full {
			break
		}
		if old == nil {
			return nil, fmt.Errorf("%w: %d connections", transport.ErrLimit, t.known)
		}
		if left := Grace - time.Since(old.since); left > 0 {
			if err := t.waitFor(left); err != nil {
				return nil, err
			}
			continue
		}
		t.evict(old)
	}
	t.add(g)
	return g, nil
}

// inTheWay is the stranger that has to go for one more of an address. full
// without one says that all connections are those of known peers.
func (t *Table) inTheWay(from netip.Addr) (old *Guest, full bool) {
	crowded := func(a netip.Addr) bool { return a == from }
	switch n := t.strangers.Len(); {
	case t.from[from] >= t.each:
	case n >= t.share || n+t.known >= t.o.Max:
		most := 0
		for _, k := range t.from {
			most = max(most, k)
		}
		crowded = func(a netip.Addr) bool { return t.from[a] == most }
	default:
		return nil, false
	}
	for e := t.strangers.Front(); e != nil; e = e.Next() {
		if g := e.Value.(*Guest); crowded(g.from) {
			return g, true
		}
	}
	return nil, true
}

// waitFor waits for room, for no longer than d. It gives the lock up meanwhile.
func (t *Table) waitFor(d time.Duration) error {
	if t.freed == nil {
		t.freed = make(chan struct{})
	}
	freed := t.freed
	t.mu.Unlock()
	defer t.mu.Lock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-freed:
	case <-t.o.Ended:
		return fmt.Errorf("%w: worker", transport.ErrClosed)
	}
	return nil
}

// add makes g the youngest stranger.
func (t *Table) add(g *Guest) {
	g.since = time.Now()
	g.stranger.Store(true)
	g.at = t.strangers.PushBack(g)
	t.from[g.from]++
	t.o.Counted(1, 0)
	if g.timed {
		g.late = time.AfterFunc(t.o.Time, g.overdue)
	}
}

// remove makes g no stranger. It is called with the lock.
func (t *Table) remove(g *Guest) {
	if g.late != nil {
		g.late.Stop()
		g.late = nil
	}
	t.strangers.Remove(g.at)
	g.at = nil
	g.stranger.Store(false)
	if t.from[g.from]--; t.from[g.from] == 0 {
		delete(t.from, g.from)
	}
	t.o.Counted(-1, 0)
	t.wake()
}

// wake tells those who wait for room. It is called with the lock.
func (t *Table) wake() {
	if t.freed != nil {
		close(t.freed)
		t.freed = nil
	}
}

// evict sends a stranger away. It is called with the lock.
func (t *Table) evict(g *Guest) {
	t.remove(g)
	g.gone = true
	t.o.Counted(0, 1)
	t.evicted++
	report := 0
	if now := time.Now(); now.Sub(t.reported) >= reportEvery {
		report, t.evicted, t.reported = t.evicted, 0, now
	}
	go func() { // without the lock: neither is known to be quick
		g.end()
		if report > 0 {
			t.o.Crowded(report)
		}
	}()
}
