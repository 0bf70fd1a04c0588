package remote

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport/wire"
)

// brisk is the largest gap between runs for which callers read the answers
// themselves: being woken by the receiving goroutine takes longer than many a
// run. If no call comes for brisk to twice that, the receiving goroutine reads
// again.
const brisk = 5 * time.Millisecond

// reading decides which goroutine reads the connection: the receiving one, or a
// caller's, which takes every frame until its own answer is complete. When
// neither does, no answer is expected, and the receiving goroutine starts again
// soon.
type reading struct {
	may   bool          // another goroutine may read the connection; constant
	taken atomic.Bool   // a goroutine reads
	want  chan struct{} // holds a token when the receiving goroutine should read
	calls atomic.Uint64 // calls that have read for themselves
	watch atomic.Bool   // the receiving goroutine will read when no call comes

	last time.Time // when the receiving goroutine last delivered a run; it owns this
}

func newReading(may bool) *reading {
	r := &reading{may: may, want: make(chan struct{}, 1)}
	r.taken.Store(true)
	return r
}

// take takes over reading, if no goroutine reads.
func (r *reading) take() bool { return r.taken.CompareAndSwap(false, true) }

// ask makes the receiving goroutine read, unless another one does.
func (r *reading) ask() {
	if !r.taken.Load() {
		r.wake()
	}
}

// wake makes the receiving goroutine read, unless another one does by then.
func (r *reading) wake() {
	select {
	case r.want <- struct{}{}:
	default:
	}
}

// leave stops reading. Waiting calls need their answers read, and after a while
// anything else that may arrive must be read too.
func (c *Client) leave() {
	r := c.reading
	r.taken.Store(false)
	switch {
	case c.waiting() > 0:
		r.wake()
	case !r.watch.Swap(true):
		c.watchReading()
	}
}

// watchReading lets the receiving goroutine read when no call has come for a
// while.
func (c *Client) watchReading() {
	r := c.reading
	seen := r.calls.Load()
	time.AfterFunc(brisk, func() {
		if r.calls.Load() != seen && c.lives() {
			c.watchReading()
			return
		}
		r.watch.Store(false)
		r.ask()
	})
}

// waiting is the number of calls that wait for an answer.
func (c *Client) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

// rests lets callers read, if runs follow each other quickly and none waits,
// and waits until the receiving goroutine is to read again. It reports whether
// it is; otherwise the connection has ended.
func (c *Client) rests() bool {
	r := c.reading
	now := time.Now()
	soon := now.Sub(r.last) < brisk
	r.last = now
	if !soon || !r.may || c.waiting() > 0 {
		return true
	}
	c.leave()
	for {
		select {
		case <-r.want:
			if r.take() {
				return true
			}
		case <-c.dead:
			return false
		}
	}
}

// read reads frames until p has its answer, ctx ends, or a frame arrives that
// is too large to be awaited. It does nothing if another goroutine reads.
func (c *Client) read(ctx context.Context, p *pending) {
	r := c.reading
	if !r.may || !r.take() {
		return
	}
	r.calls.Add(1)
	defer c.leave()
	if ctx.Done() != nil {
		interrupted := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			c.conn.Interrupt()
			close(interrupted)
		})
		defer func() {
			if !stop() {
				<-interrupted
				c.conn.Resume()
			}
		}()
	}
	for len(p.done) == 0 {
		whole, err := c.conn.Await()
		if err == nil && whole {
			_, err = c.receiveFrame()
		}
		switch {
		case errors.Is(err, wire.ErrInterrupted):
			return
		case err != nil:
			c.fail(c.describe("connection", err))
			return
		case !whole:
			return
		}
	}
}
