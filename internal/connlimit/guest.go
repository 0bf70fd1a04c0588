package connlimit

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
)

// Guest is a connection. A gRPC connection carries several streams, and each of
// them authenticates.
type Guest struct {
	t     *Table
	from  netip.Addr
	end   func()
	timed bool

	stranger atomic.Bool // copy of at, readable without the lock
	welcomed atomic.Bool // one of its streams has authenticated

	// Guarded by the lock of the table.
	since    time.Time
	at       *list.Element // among the strangers; nil for a known one
	late     *time.Timer   // ends a stranger
	known    int           // authenticated streams
	greeting bool          // one of its streams is authenticating
	gone     bool
}

// Greet begins to authenticate a stream's peer: one stream at a time.
func (g *Guest) Greet() error {
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	switch {
	case g.gone:
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	case g.greeting:
		return fmt.Errorf("%w: a stream of this connection has yet to say hello", transport.ErrLimit)
	}
	g.greeting = true
	return nil
}

// Admit ends what Greet began: the stream is the identity's, which may have up to
// most connections; 0 stands for its part. [Guest.Leave] is called for an
// admitted stream.
func (g *Guest) Admit(identity string, most int64) error {
	t := g.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.gone {
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	}
	if err := t.part(identity, most); err != nil {
		return err
	}
	if g.known > 0 && t.known+t.strangers.Len() >= t.o.Max { // one more stream
		old := t.strangers.Front()
		if old == nil {
			return fmt.Errorf("%w: %d connections", transport.ErrLimit, t.known)
		}
		t.evict(old.Value.(*Guest))
	}
	if g.at != nil {
		t.remove(g)
	}
	g.greeting = false
	g.welcomed.Store(true)
	g.known++
	t.known++
	t.by[identity]++
	return nil
}

// part says that an identity may have no more connections.
func (t *Table) part(identity string, most int64) error {
	have := t.by[identity]
	switch {
	case most > 0:
	case !t.o.Named:
		return nil
	default:
		most = int64(max((t.o.Max-(t.known-have))/IdentityPart, 1))
	}
	if int64(have) < most {
		return nil
	}
	return &transport.QuotaError{What: "connections", Limit: most, Used: int64(have), Want: 1}
}

// Refuse ends what Greet began without an identity for the stream.
func (g *Guest) Refuse() {
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	g.greeting = false
}

// Leave ends an admitted stream. A connection without streams is a stranger's
// again.
func (g *Guest) Leave(identity string) {
	t := g.t
	t.mu.Lock()
	defer t.mu.Unlock()
	g.known--
	t.known--
	if t.by[identity]--; t.by[identity] == 0 {
		delete(t.by, identity)
	}
	t.wake()
	if g.known > 0 || g.gone {
		return
	}
	if old, _ := t.inTheWay(g.from); old != nil {
		t.evict(old)
	}
	t.add(g)
}

// Gone is called when the connection is closed.
func (g *Guest) Gone() {
	t := g.t
	t.mu.Lock()
	defer t.mu.Unlock()
	g.gone = true
	if g.at != nil {
		t.remove(g)
	}
}

// Evicted reports whether the connection was evicted.
func (g *Guest) Evicted() bool {
	g.t.mu.Lock()
	defer g.t.mu.Unlock()
	return g.gone
}

// overdue ends a stranger whose time is over.
func (g *Guest) overdue() {
	if g.expired() {
		g.end()
	}
}

// expired evicts a stranger whose time is over, unless it has authenticated.
func (g *Guest) expired() bool {
	t := g.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.at == nil || time.Since(g.since) < t.o.Time { // authenticated in between
		return false
	}
	t.remove(g)
	g.gone = true
	return true
}
