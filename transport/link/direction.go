package link

import (
	"slices"
	"sync"
	"time"
)

// ahead is how far into the future the output of the bucket is granted. It
// models the queue of a real network card: a connection that asks late does not
// leave the link idle, and a new one does not wait longer for its turn.
const ahead = 2 * time.Millisecond

// direction is one direction of a link: a token bucket and the connections that
// take turns at it. Moments are durations since the link was made.
type direction struct {
	profile Profile
	delay   time.Duration
	burst   time.Duration // the full bucket, as time
	segment int
	base    time.Time
	blocks  sync.Pool // of *block

	mu sync.Mutex
	// The bucket was full at start; sent bytes have passed since, and the last
	// of them left at free. Counting from the start of a busy period keeps
	// rounding errors from accumulating.
	start time.Duration
	sent  uint64
	free  time.Duration
	turns []*conn // connections with bytes to let through, in order

	count Counters
	conns uint64 // made so far
}

func (d *direction) now() time.Duration { return time.Since(d.base) }

// depart lets n bytes through that were ready at the given moment, and returns
// when the last of them has left.
func (d *direction) depart(n int, at time.Duration) time.Duration {
	if d.profile.Rate <= 0 {
		return at
	}
	if full := at - d.burst; d.free <= full {
		d.start, d.sent = full, 0
	}
	d.sent += uint64(n)
	d.free = d.start + d.profile.serialise(d.sent)
	return max(d.free, at)
}

// enter gives c a turn.
func (d *direction) enter(c *conn) {
	if !c.waiting {
		c.waiting = true
		d.turns = append(d.turns, c)
	}
}

// leave removes c from the turns.
func (d *direction) leave(c *conn) {
	if c.waiting {
		c.waiting = false
		d.turns = slices.DeleteFunc(d.turns, func(o *conn) bool { return o == c })
	}
}

// grant distributes what the bucket lets through until a little after now, one
// segment to each connection in turn.
func (d *direction) grant(now time.Duration) {
	for len(d.turns) > 0 && d.free <= now+ahead {
		c := d.turns[0]
		c.advance()
		copy(d.turns, d.turns[1:])
		d.turns[len(d.turns)-1] = c
		if c.pending.len() == 0 {
			c.waiting = false
			d.turns = d.turns[:len(d.turns)-1]
		}
	}
}
