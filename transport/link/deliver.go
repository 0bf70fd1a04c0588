package link

import (
	"net"
	"time"
)

// maxDelivery bounds the bytes of one write to the connection below.
const maxDelivery = 1 << 20

// deliver writes the bytes that have arrived, until the end or an error.
func (c *conn) deliver(w *waiter) {
	defer close(c.done)
	defer w.close()
	var memory [][]byte
	for {
		n, end, wait := c.arrived()
		if n == 0 && end == goesOn {
			if wait == maxWait {
				<-c.work
			} else {
				w.wait(wait, c.work)
			}
			continue
		}
		var err error
		if n > 0 {
			memory = c.front(memory[:0], n)
			bufs := net.Buffers(memory)
			if _, err = bufs.WriteTo(c.Conn); err == nil {
				c.delivered(n)
			}
		}
		if err == nil && end == writeEnds {
			err = c.Conn.(closeWriter).CloseWrite()
		}
		if err != nil || end == connEnds {
			c.stop(err)
			return
		}
	}
}

// arrived is the number of bytes that have arrived by now and the event after
// them, or else how long to wait.
func (c *conn) arrived() (n int, end ending, wait time.Duration) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.err != nil {
		return 0, connEnds, 0
	}
	now := c.d.now()
	c.d.grant(now)
	first := true
	for end == goesOn && n < maxDelivery && c.flight.len() > 0 && c.flight.front().at <= now {
		m := c.flight.pop()
		if first {
			late := now - m.at
			c.d.count.Deliveries++
			c.d.count.Late += late
			c.d.count.MaxLate = max(c.d.count.MaxLate, late)
			first = false
		}
		n += m.n
		end = m.end
	}
	if !first {
		return n, end, 0
	}
	until := maxWait
	if c.flight.len() > 0 {
		until = c.flight.front().at
	}
	if c.pending.len() > 0 {
		until = min(until, c.d.free-ahead)
	}
	if until == maxWait {
		return 0, goesOn, maxWait
	}
	return 0, goesOn, max(until-now, 1)
}

func (c *conn) front(bufs [][]byte, n int) [][]byte {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.ended == connEnds {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(linger))
	}
	return c.queue.front(bufs, n)
}

// delivered frees the room of n bytes.
func (c *conn) delivered(n int) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	c.queue.drop(n)
	c.queued -= n
	c.d.count.Delivered += int64(n)
	if c.queued <= c.lowWater && c.pending.len()+c.flight.len() <= c.marks/2 {
		c.room.Broadcast()
	}
}

// stop ends delivery, because of err or after the last byte, and closes the
// connection if its owner has closed it.
func (c *conn) stop(err error) {
	if c.stops(err) {
		_ = c.Conn.Close()
	}
}

// stops is stop without closing: it returns whether the caller must close.
func (c *conn) stops(err error) (closed bool) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.d.leave(c)
	c.pending, c.flight = fifo[mark]{}, fifo[mark]{}
	c.queue.free()
	c.deliveryEnded = true
	c.room.Broadcast()
	return c.ended == connEnds
}

// abort ends the connection without delivering the bytes in flight.
func (c *conn) abort() {
	func() {
		c.d.mu.Lock()
		defer c.d.mu.Unlock()
		if c.err == nil {
			c.err = c.opError("write", net.ErrClosed)
		}
		c.ended = connEnds
		c.room.Broadcast()
	}()
	c.readClosed.Store(true)
	_ = c.Conn.Close()
	c.wake()
}
