package worker

import (
	"sync/atomic"
	"time"
)

// readers watches that a client reads its answers: an unread answer holds
// memory. A connection that writes no frame for Options.Patience, or up to
// twice as long, ends.
type readers struct {
	sending atomic.Int64  // answers being sent
	sent    atomic.Uint64 // answers sent
	armed   atomic.Bool
}

func (r *readers) begins(c *conn) {
	r.sending.Add(1)
	if !r.armed.Swap(true) {
		r.look(c)
	}
}

func (r *readers) ends() {
	r.sent.Add(1)
	r.sending.Add(-1)
}

// look checks again when the client's time is over.
func (r *readers) look(c *conn) {
	answers, frames := r.sent.Load(), c.wc.FramesSent()
	time.AfterFunc(c.s.opts.Patience, func() {
		switch {
		case r.sending.Load() == 0:
			r.armed.Store(false)
			if r.sending.Load() > 0 && !r.armed.Swap(true) { // a sender has just started
				r.look(c)
			}
		case c.ctx.Err() != nil:
		case r.sent.Load() == answers && c.wc.FramesSent() == frames:
			c.log.Warn("connection ended: the client does not read", "patience", c.s.opts.Patience)
			c.close()
		default:
			r.look(c)
		}
	})
}
