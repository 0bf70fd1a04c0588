package connlimit

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/genie-sdk/go/transport"
)

// The limits of the connections.
const (
	// StrangerPart is the part of all connections that strangers have: one in
	// StrangerPart.
	StrangerPart = 8
	// MinStrangers is the minimum of the strangers' part, as long as there are
	// that many connections.
	MinStrangers = 16
	// AddressPercent is the part of the strangers' connections that one address
	// has.
	AddressPercent = 75
	// IdentityPart is the part of the connections left by other identities that
	// one identity has: one in IdentityPart.
	IdentityPart = 2
	// Grace is how long a stranger stays, however crowded it is: enough for the
	// round trips of a handshake. Without room, new connections are accepted
	// only as fast as the grace of strangers ends; the others wait in the
	// listener's queue.
	Grace = 200 * time.Millisecond
)

// reportEvery is the interval of reports about evicted strangers.
const reportEvery = 10 * time.Second

// Options configure a [Table].
type Options struct {
	// Max bounds the connections.
	Max int
	// Share is the maximum number of strangers; their part of Max when 0.
	Share int
	// Named says that clients have identities, and that no identity may take
	// all connections.
	Named bool
	// Time is how long a stranger admitted with a timeout may stay, see
	// [Table.Enter].
	Time time.Duration
	// Bytes bounds what a connection of [Table.Listener] may send as a
	// stranger; 0 means no limit.
	Bytes int
	// Rest is what may arrive in addition after its streams have ended: data
	// that was in flight.
	Rest int
	// Ended is closed when no more connections are admitted.
	Ended <-chan struct{}
	// Counted is called with changes of the number of strangers, and with
	// evicted strangers; it may be nil.
	Counted func(strangers, evicted int)
	// Crowded is called from time to time with the number of strangers evicted
	// since the last call; it may be nil.
	Crowded func(n int)
}

// Table is the connections of a worker. It is safe for concurrent use.
type Table struct {
	o     Options
	share int // of strangers
	each  int // of strangers of one address

	mu        sync.Mutex
	strangers *list.List // of *Guest, the oldest first
	from      map[netip.Addr]int
	known     int
	by        map[string]int // authenticated, by identity
	freed     chan struct{}  // closed when there is more room; nil while no connection waits
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

// Enter admits a connection as a stranger's. Without room, the oldest stranger
// is evicted: of its own address if that has its full part, else of the address
// with the most. A stranger has its [Grace] before that, which Enter waits for.
// end ends a connection at once; any goroutine may call it. timed bounds the
// time as a stranger.
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

// inTheWay is the stranger to evict for one more of an address. full without
// one says that all connections are authenticated.
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

// waitFor waits for room, for at most d. It releases the lock meanwhile.
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

// remove removes g from the strangers. It is called with the lock.
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

// wake wakes the connections that wait for room. It is called with the lock.
func (t *Table) wake() {
	if t.freed != nil {
		close(t.freed)
		t.freed = nil
	}
}

// evict ends a stranger. It is called with the lock.
func (t *Table) evict(g *Guest) {
	t.remove(g)
	g.gone = true
	t.o.Counted(0, 1)
	t.evicted++
	report := 0
	if now := time.Now(); now.Sub(t.reported) >= reportEvery {
		report, t.evicted, t.reported = t.evicted, 0, now
	}
	go func() { // without the lock: both may be slow
		g.end()
		if report > 0 {
			t.o.Crowded(report)
		}
	}()
}
