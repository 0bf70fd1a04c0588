package worker

import (
	"container/list"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"sync"
	"time"

	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// The bounds of a session's key, in bytes.
const (
	minKey = 16
	maxKey = 64
)

// leases are the sessions that outlive their connection. Each is found by its
// key, on a connection or waiting for its client.
type leases struct {
	meter *meter.Meter

	mu     sync.Mutex
	closed bool
	held   heldSessions                 // sessions that wait for their client
	byKey  map[[sha256.Size]byte]*lease // by a hash of the key, so that a lookup reveals nothing about it
}

// lease is the hold of one session. Its fields are guarded by the lock of
// leases, except those that never change.
type lease struct {
	id    [sha256.Size]byte
	key   []byte
	owner string
	s     *session

	on    *conn         // nil while it waits for its client
	left  chan struct{} // closed when it leaves on
	lapse *time.Timer   // while it waits
	at    *list.Element // among the waiting sessions of its owner
}

// openKeyed is OpenSession with a key: it resumes the session of that key,
// wherever it is, or opens a new one.
func (c *conn) openKeyed(ctx context.Context, num uint32, key []byte, resume bool) (answer, error) {
	if len(key) < minKey || len(key) > maxKey {
		return answer{}, fmt.Errorf("%w: a session key of %d bytes", transport.ErrProtocol, len(key))
	}
	ls := &c.s.leases
	for {
		l, old, left, err := ls.take(c, num, key, resume)
		if err != nil {
			return answer{}, err
		}
		if old == nil {
			return answer{}, c.join(l, num)
		}
		old.close()
		// Its connection is lost, which has not been noticed yet.
		select {
		case <-left:
		case <-ctx.Done():
			return answer{}, fmt.Errorf("genie: stopped: %w", context.Cause(ctx))
		}
	}
}

// take finds or makes the lease of a key and puts it on c. If it is on another
// connection, old, that one has to be closed, and left says when it has
// released the session.
func (ls *leases) take(c *conn, num uint32, key []byte, resume bool) (l *lease, old *conn, left <-chan struct{}, err error) {
	id := sha256.Sum256(key)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l = ls.byKey[id]
	switch {
	case ls.closed:
		return nil, nil, nil, errDraining
	case l == nil && resume:
		return nil, nil, nil, fmt.Errorf("%w: session %d is not held here, or no longer", transport.ErrSessionLost, num)
	case l == nil:
		l = &lease{id: id, key: key, owner: c.owner()}
		ls.byKey[id] = l
	case l.owner != c.owner():
		return nil, nil, nil, fmt.Errorf("%w: session %d is another client's", transport.ErrPermission, num)
	case subtle.ConstantTimeCompare(l.key, key) != 1:
		return nil, nil, nil, fmt.Errorf("%w: session %d is not held here, or no longer", transport.ErrSessionLost, num)
	case l.on == c:
		return nil, nil, nil, fmt.Errorf("%w: session %d is open", transport.ErrProtocol, num)
	case l.on != nil:
		return nil, l.on, l.left, nil
	default:
		l.lapse.Stop()
		l.lapse = nil
		ls.held.remove(l)
	}
	l.on, l.left = c, make(chan struct{})
	return l, nil, nil, nil
}

// owner is the identity of the peer, empty for one that need not authenticate:
// only the client that opened a session may resume it.
func (c *conn) owner() string { return c.tenant.identity }

// join puts the session of a lease on this connection.
func (c *conn) join(l *lease, num uint32) error {
	err := c.puts(num, l.s)
	switch {
	case err != nil && l.s == nil:
		c.s.leases.forget(l)
	case err != nil:
		c.s.leases.detach(l, c.s.opts.Lease)
	case l.s == nil:
		if l.s, err = c.newSession(num); err != nil {
			c.s.leases.forget(l)
			return err
		}
		l.s.lease = l
	default:
		c.s.meter.SessionsResumed.Add(1)
		c.log.Debug("session resumed", "session", num)
	}
	return err
}

// puts gives a session a number, if there is one and there is room.
func (c *conn) puts(num uint32, s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.room(num)
	if err == nil && s != nil {
		c.sessions[num] = s
	}
	return err
}

// leave handles the sessions of a connection that has ended: those with a lease
// are held, the others are freed. None of their requests is running any more.
func (s *Server) leave(sessions map[uint32]*session, hold time.Duration) {
	for _, ses := range sessions {
		s.claims.leave(ses)
		if ses.lease == nil {
			ses.end()
			continue
		}
		ses.dropSpare() // cannot be reclaimed while it waits
		s.leases.detach(ses.lease, hold)
	}
}

// detach holds a session for at most hold, until its client returns.
func (ls *leases) detach(l *lease, hold time.Duration) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	l.on = nil
	close(l.left)
	if ls.closed || hold <= 0 {
		if !ls.closed {
			ls.meter.SessionsLapsed.Add(1)
		}
		delete(ls.byKey, l.id)
		l.s.end()
		return
	}
	ls.held.add(l)
	var lapse *time.Timer
	lapse = time.AfterFunc(hold, func() {
		ls.mu.Lock()
		defer ls.mu.Unlock()
		if l.lapse == lapse { // not resumed in between
			ls.meter.SessionsLapsed.Add(1)
			ls.drop(l)
		}
	})
	l.lapse = lapse
	if over := ls.held.over(l.owner); over != nil {
		ls.meter.SessionsNotHeld.Add(1)
		ls.drop(over)
	}
}

// drop frees a waiting session. It is called with the lock.
func (ls *leases) drop(l *lease) {
	l.lapse.Stop()
	l.lapse = nil
	ls.held.remove(l)
	delete(ls.byKey, l.id)
	l.s.end()
}

// forget removes the lease of a session that is closed.
func (ls *leases) forget(l *lease) {
	if l == nil {
		return
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	delete(ls.byKey, l.id)
	if l.on != nil {
		l.on = nil
		close(l.left)
	}
}

// close frees the waiting sessions, and lets none wait from now on.
func (ls *leases) close() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.closed = true
	for _, l := range ls.byKey {
		if l.lapse != nil {
			ls.drop(l)
		}
	}
}

// Detached is the number of sessions that are held for clients whose connection
// was lost.
func (s *Server) Detached() int {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	return s.leases.held.n
}

// beat checks that the client is alive, and sends heartbeats to it. Its result
// is to be called when the connection has ended.
func (c *conn) beat(every time.Duration) (wait func()) {
	h := wire.Heart{Every: every, Silence: c.s.opts.Silence}
	if every == 0 { // this client promised no heartbeats; the lease covers it
		h.Silence = c.s.opts.Lease
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := c.wc.Beat(c.ctx, h); err != nil {
			c.log.Warn("connection ended", "error", err)
			c.silent.Store(int64(h.Silence))
			c.close()
		}
	}()
	return func() { <-ended }
}

// hold is how long the sessions of an ended connection are held: the lease runs
// from the last byte of the client.
func (c *conn) hold() time.Duration {
	return c.s.opts.Lease - time.Duration(c.silent.Load())*9/8
}
