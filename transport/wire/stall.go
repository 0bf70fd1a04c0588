package wire

import (
	"context"
	"time"
)

// watchStall closes the connection when ctx ends and the current frame is still
// not written [StallTimeout] later: a peer that does not read cannot block a
// caller that has given up.
func (c *Conn) watchStall(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	c.frames++
	frame := c.frames
	c.writing.Store(frame)
	cancel := context.AfterFunc(ctx, func() {
		time.AfterFunc(StallTimeout, func() {
			if c.writing.Load() == frame {
				_ = c.Close()
			}
		})
	})
	return func() {
		c.writing.Store(0)
		cancel()
	}
}
