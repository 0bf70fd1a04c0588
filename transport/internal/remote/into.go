package remote

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// answering guards memory of a caller that the answer to a call goes to: once the
// call has returned, nothing may write there. The zero value guards nothing.
type answering struct {
	turn chan struct{} // one token: its holder writes to the memory; nil without such memory
	over *atomic.Bool  // the memory is the caller's again
}

func newAnswering() answering {
	a := answering{turn: make(chan struct{}, 1), over: &atomic.Bool{}}
	a.turn <- struct{}{}
	return a
}

// fill reads the payload of a frame into sink, or discards it where the caller
// has its memory back.
func (c *Client) fill(p *pending, h wire.Header, sink *wire.Sink) (bad, err error) {
	if a := p.filling; a.turn != nil {
		<-a.turn // keepOut holds it for a moment at most, and last
		defer func() { a.turn <- struct{}{} }()
		if a.over.Load() {
			p.sink, sink = nil, nil
		}
	}
	return c.conn.ReadPayload(h, sink, p.cause)
}

// keepOut ends a call whose answer goes to memory of its caller: what of a failed
// one is still to come is discarded. A peer that is silent in the middle of a frame
// holds the caller only for a moment: the connection is given up.
func (c *Client) keepOut(p *pending, failed *error) {
	if *failed == nil {
		return
	}
	p.filling.over.Store(true)
	t := time.NewTimer(cancelWait)
	defer t.Stop()
	select {
	case <-p.filling.turn:
	case <-t.C:
		c.fail(fmt.Errorf("%w: connection with %s: an answer stopped in the middle of a frame, and its call was given up", transport.ErrUnreachable, c.cfg.Addr))
		<-p.filling.turn
	}
	p.filling.turn <- struct{}{}
}
