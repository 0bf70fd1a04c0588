package remote

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// receive takes frames until the connection ends, except those that callers
// read themselves. It never sends, so a worker that waits until the client
// reads can always continue.
func (c *Client) receive() {
	for {
		ran, err := c.receiveFrame()
		if err != nil {
			c.fail(c.describe("connection", err))
			return
		}
		if ran && !c.rests() {
			return
		}
	}
}

// receiveFrame takes one frame, and reports whether it was the last of a run's;
// an error is the connection's. It is called by the goroutine that reads.
func (c *Client) receiveFrame() (ran bool, err error) {
	h, control, err := c.conn.Next()
	if err != nil {
		return false, err
	}
	if h.Type == wire.TypeError && h.Stream == 0 {
		return false, c.remoteError(control)
	}
	if h.Type == wire.TypePing && h.Stream == 0 {
		_, err := c.conn.ReadPayload(h, nil, plan.CauseControl)
		return false, err
	}
	c.mu.Lock()
	p := c.streams[h.Stream]
	c.mu.Unlock()
	if p == nil {
		// The answer to a call that was given up before it was sent completely.
		c.cfg.Log.Debug("answer to no call", "addr", c.cfg.Addr, "stream", h.Stream, "type", h.Type.String())
		_, err := c.conn.ReadPayload(h, nil, plan.CauseControl)
		return false, err
	}
	switch {
	case h.Type == wire.TypeError:
		p.bad = c.remoteError(control)
	case h.Type == wire.TypeData && p.began:
	case h.Type == p.typ && h.Flags&wire.FlagAnswer != 0 && !p.began:
		p.begin(control)
	default:
		return false, fmt.Errorf("%w: frame %v for a %v", transport.ErrProtocol, h.Type, p.typ)
	}
	sink, run := p.sink, []byte(nil)
	if p.loop != nil && p.bad == nil {
		if run, p.bad = p.loop.sink(h.Payload); p.bad == nil {
			sink = wire.NewSink([]wire.Segment{{Data: run, Cause: p.cause}})
		}
	}
	if p.bad != nil {
		sink = nil
	}
	bad, err := c.fill(p, h, sink)
	if err != nil {
		return false, err
	}
	if p.bad == nil {
		p.bad = bad
	}
	if p.loop != nil && p.bad == nil {
		p.loop.add(run)
	}
	if !h.More() {
		c.finish(h.Stream, p)
	}
	return p.typ == wire.TypeRun && !h.More(), nil
}

// begin reads the control message of an answer and takes memory for the
// payload.
func (p *pending) begin(control []byte) {
	p.began = true
	if p.answer != nil {
		if err := proto.Unmarshal(control, p.answer); err != nil {
			p.bad = fmt.Errorf("%w: answer to %v: %w", transport.ErrProtocol, p.typ, err)
			return
		}
	}
	var segs []wire.Segment
	if p.payloadOf != nil {
		if segs, p.bad = p.payloadOf(); p.bad != nil {
			return
		}
	}
	p.sink = wire.NewSink(segs)
}

// finish delivers the result.
func (c *Client) finish(stream uint64, p *pending) {
	err := p.bad
	if err == nil && p.sink != nil && p.sink.Left() > 0 {
		err = fmt.Errorf("%w: answer to %v ends %d bytes early", transport.ErrProtocol, p.typ, p.sink.Left())
	}
	gone := c.ended(stream, p, err)
	if p.early != nil {
		p.early(errAnswered)
	}
	if gone && p.late != nil {
		p.late(err)
	}
}

// ended tells the caller that waits for an answer about the end, and reports
// whether no caller waits.
func (c *Client) ended(stream uint64, p *pending, err error) (gone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, stream)
	p.done <- err // it has room for one
	return p.gone
}
