package link

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// smallWrites is the number of writes that a queue holds, however small they
// are, in addition to those of a full queue of segments.
const smallWrites = 4096

// linger is how long a closed connection continues to deliver to a peer that
// reads nothing.
const linger = 5 * time.Second

// ending is the event after the last byte.
type ending uint8

const (
	goesOn ending = iota
	writeEnds
	connEnds
)

// mark is some bytes of the queue, or an end.
type mark struct {
	n   int
	at  time.Duration // when they were written, or when they arrive
	end ending
}

// conn is one end of a connection. Reads pass through; writes go through the
// queue to a goroutine that delivers them on schedule.
type conn struct {
	net.Conn
	d        *direction
	limit    int // capacity of the queue in bytes
	lowWater int // bytes in the queue below which blocked writers resume
	marks    int // writes and segments that the queue holds
	work     chan struct{}
	done     chan struct{} // closed when delivery has ended

	writing sync.Mutex // held by the writer

	reading    sync.Mutex // held when the deadline for reading is set
	readClosed atomic.Bool

	// Under d.mu.
	room     sync.Cond
	queue    byteQueue
	queued   int
	pending  fifo[mark] // not yet let through
	flight   fifo[mark] // in flight
	last     time.Duration
	waiting  bool // in d.turns
	jitter   *rand.Rand
	ended    ending
	err      error // why delivery ended
	reported bool  // a writer has returned err

	deadline      *time.Timer
	deadlineOf    uint64 // number of the current deadline
	deadlinePast  bool
	deliveryEnded bool
}

func newConn(inner net.Conn, d *direction, seed, number uint64, plain bool) *conn {
	c := &conn{
		Conn: inner, d: d, limit: d.profile.queue(), work: make(chan struct{}, 1), done: make(chan struct{}),
		queue: byteQueue{pool: &d.blocks}, jitter: rand.New(rand.NewPCG(seed, number)), //nolint:gosec // repeatable on purpose
	}
	c.marks = smallWrites + 2*(c.limit/d.segment)
	c.lowWater = c.limit - d.profile.sendBuffer()/2
	c.room.L = &d.mu
	go c.deliver(newWaiter(plain))
	return c
}

// Write puts b into the queue and waits for room as long as the deadline
// allows.
func (c *conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, _, err := c.write(b, c.d.now())
	return n, err
}

// WriteBuffers writes all of v as if it were one buffer. It consumes v like
// [net.Buffers.WriteTo].
func (c *conn) WriteBuffers(v *net.Buffers) (n int64, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	at := c.d.now()
	for len(*v) > 0 {
		var k int
		k, at, err = c.write((*v)[0], at)
		n += int64(k)
		if err != nil {
			(*v)[0] = (*v)[0][k:]
			return n, err
		}
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	return n, nil
}

// write puts b into the queue as written at the given moment, or later if it
// had to wait.
func (c *conn) write(b []byte, at time.Duration) (n int, last time.Duration, err error) {
	for {
		space, waited, err := c.space()
		if err != nil {
			return n, at, err
		}
		if waited {
			at = c.d.now()
		}
		k := copy(space, b[n:])
		if err := c.commit(k, at); err != nil {
			return n, at, err
		}
		if n += k; n == len(b) {
			return n, at, nil
		}
	}
}

// ReadFrom reads r to its end straight into the queue.
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	for {
		space, _, err := c.space()
		if err != nil {
			return n, err
		}
		k, readErr := r.Read(space)
		if err := c.commit(k, c.d.now()); err != nil {
			return n, err
		}
		n += int64(k)
		if errors.Is(readErr, io.EOF) {
			return n, nil
		}
		if readErr != nil {
			return n, readErr
		}
	}
}

// space waits for room and returns memory for it. A call of commit must follow.
func (c *conn) space() (b []byte, waited bool, err error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if err := c.state(); err != nil {
		return nil, false, err
	}
	for c.queued >= c.limit || c.pending.len()+c.flight.len() >= c.marks {
		waited = true
		c.room.Wait()
		if err := c.state(); err != nil {
			return nil, waited, err
		}
	}
	b = c.queue.space()
	return b[:min(len(b), c.limit-c.queued)], waited, nil
}

// commit puts n bytes of the last space into the queue.
func (c *conn) commit(n int, at time.Duration) error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.queue.commit(n)
	switch err := c.state(); {
	case c.deliveryEnded:
		c.queue.free()
		return err
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		c.queue.tail -= n // they will not be read
		return err
	case n > 0:
		c.queued += n
		c.d.count.Written += int64(n)
		c.push(mark{n: n, at: at})
	}
	return nil
}

// push appends to the queue.
func (c *conn) push(m mark) {
	c.pending.push(m)
	c.d.enter(c)
	c.d.grant(c.d.now())
	if c.pending.len() > 0 {
		c.wake() // so that the rest gets its turn in time
	}
}

// advance lets the next bytes through, at most one segment.
func (c *conn) advance() {
	m := c.pending.front()
	n := min(m.n, c.d.segment)
	out := mark{n: n, at: m.at, end: m.end}
	if n > 0 {
		out.at = c.d.depart(n, m.at)
	}
	out.at += c.d.delay
	if j := c.d.profile.Jitter; j > 0 {
		out.at += time.Duration(c.jitter.Int64N(int64(j) + 1))
	}
	out.at = max(out.at, c.last)
	c.last = out.at
	if m.n -= n; m.n == 0 {
		c.pending.pop()
	}
	c.flight.push(out)
	if c.flight.len() == 1 {
		c.wake()
	}
}

func (c *conn) wake() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// state is why nothing can be written now.
func (c *conn) state() error {
	switch {
	case c.ended == connEnds:
		return c.opError("write", net.ErrClosed)
	case c.err != nil:
		c.reported = true
		return c.err
	case c.ended == writeEnds:
		return c.opError("write", io.ErrClosedPipe)
	case c.deadlinePast:
		return c.opError("write", os.ErrDeadlineExceeded)
	}
	return nil
}

func (c *conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "link", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

// Read reads what has arrived.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && c.readClosed.Load() {
		err = c.opError("read", net.ErrClosed)
	}
	return n, err
}

// SetReadDeadline implements [net.Conn].
func (c *conn) SetReadDeadline(t time.Time) error {
	c.reading.Lock()
	defer c.reading.Unlock()
	if c.readClosed.Load() {
		return c.opError("set", net.ErrClosed)
	}
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds the wait for room in the queue. Bytes in the queue
// are delivered whatever the deadline.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.ended == connEnds {
		return c.opError("set", net.ErrClosed)
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	c.deadlineOf++
	number, left := c.deadlineOf, time.Until(t)
	c.deadlinePast = !t.IsZero() && left <= 0
	if c.deadlinePast {
		c.room.Broadcast()
	} else if !t.IsZero() {
		c.deadline = time.AfterFunc(left, func() {
			c.d.mu.Lock()
			defer c.d.mu.Unlock()
			if c.deadlineOf == number {
				c.deadlinePast = true
				c.room.Broadcast()
			}
		})
	}
	return nil
}

// SetDeadline implements [net.Conn].
func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// closeWriter is a connection whose directions end separately.
type closeWriter interface{ CloseWrite() error }

// CloseWrite ends writing after the bytes already written.
func (c *conn) CloseWrite() error {
	if _, ok := c.Conn.(closeWriter); !ok {
		return c.opError("close", fmt.Errorf("half-close: %w", errors.ErrUnsupported))
	}
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	switch {
	case c.ended != goesOn:
		return c.opError("close", net.ErrClosed)
	case c.err != nil:
		c.reported = true
		return c.err
	}
	c.end(writeEnds)
	return nil
}

func (c *conn) end(e ending) {
	c.ended = e
	c.room.Broadcast()
	c.push(mark{at: c.d.now(), end: e})
}

// Close ends reading at once, and the connection after the bytes already
// written. It returns the error that ended delivery if no writer has returned
// it.
func (c *conn) Close() error {
	first, seen, failed := c.closes()
	if !first {
		return c.opError("close", net.ErrClosed)
	}
	c.endReading()
	if failed == nil {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(linger))
		return nil
	}
	if err := c.Conn.Close(); seen {
		return err
	}
	return failed
}

// closes ends the connection after the bytes already written, unless it has
// ended: failed is the error that ended delivery, and seen whether a writer has
// returned it.
func (c *conn) closes() (first, seen bool, failed error) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.ended == connEnds {
		return false, false, nil
	}
	if c.deadline != nil {
		c.deadline.Stop()
	}
	if c.err == nil {
		c.end(connEnds)
	} else {
		c.ended = connEnds
	}
	return true, c.reported, c.err
}

func (c *conn) endReading() {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.readClosed.Store(true)
	_ = c.Conn.SetReadDeadline(time.Unix(1, 0))
}
