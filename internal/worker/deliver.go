package worker

import (
	"context"
	"fmt"

	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// delivery is a value that another worker brings. The receiving goroutine owns it
// until all has come.
type delivery struct {
	c     *conn
	use   *tickets.Use
	cause plan.Cause
	left  int64  // bytes to come
	buf   []byte // of the frame that is being received
	held  int64  // bytes that the sender has paid for buf
}

// deliver handles Deliver.
func (st *stream) deliver(h wire.Header, control []byte) (*task, error) {
	var m wirepb.Deliver
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	if m.GetAsk() && (h.Payload != 0 || h.More()) || m.GetBytes() > 1<<62 || m.GetOffset() > 1<<62 {
		return nil, fmt.Errorf("%w: Deliver with a payload", transport.ErrProtocol)
	}
	st.bound(m.GetDeadlineMs())
	u, err := st.c.present(&m)
	if err != nil {
		return nil, err
	}
	if m.GetAsk() {
		return &task{free: u.Leave, do: func(context.Context) (answer, error) {
			n, complete := u.Got()
			return answer{control: &wirepb.Delivered{Bytes: uint64(n), Complete: complete}}, nil
		}}, nil
	}
	d := &delivery{c: st.c, use: u, cause: u.Spec().Cause, left: int64(m.GetBytes())}
	accepted := false
	defer func() {
		if !accepted {
			d.free()
		}
	}()
	if err := st.total(h, m.GetBytes(), m.GetBytes()); err != nil {
		return nil, err
	}
	if err := u.Check(int64(m.GetOffset()), d.left); err != nil {
		return nil, err
	}
	accepted = true
	st.delivery = d
	return &task{free: d.free, do: d.do}, nil
}

// present finds the ticket of a message that its sender has signed.
func (c *conn) present(m *wirepb.Deliver) (*tickets.Use, error) {
	return c.s.tickets.Present(m.GetTicket(), func(sender transport.PeerID, secret [32]byte) bool {
		return len(m.GetSender()) == len(sender) && transport.PeerID(m.GetSender()) == sender &&
			sender.Presents(c.nonce[:], m.GetTicket(), secret, m.GetSignature())
	})
}

// into is memory for the next n bytes.
func (d *delivery) into(n uint64) (*wire.Sink, error) {
	if int64(n) > d.left {
		return nil, fmt.Errorf("%w: %d bytes too many for a ticket", transport.ErrTicket, int64(n)-d.left)
	}
	if uint64(cap(d.buf)) < n {
		more := int64(pages(n)) - d.held
		if err := d.c.s.charge(d.c.tenant, more, "a value under way"); err != nil {
			return nil, err
		}
		d.held += more
		d.buf = d.c.s.buffer(pages(n))
	}
	d.buf = d.buf[:n]
	return wire.NewSink([]wire.Segment{{Data: d.buf, Cause: d.cause}}), nil
}

// received stores what has come into the buffer.
func (d *delivery) received() error {
	if len(d.buf) == 0 {
		return nil
	}
	err := d.use.Write(d.buf)
	d.left -= int64(len(d.buf))
	d.buf = d.buf[:0]
	return err
}

// do puts the value in its place when all has come.
func (d *delivery) do(ctx context.Context) (answer, error) {
	if d.left != 0 {
		return answer{}, fmt.Errorf("%w: a value ends %d bytes early", transport.ErrTicket, d.left)
	}
	if err := d.use.Finish(ctx); err != nil {
		return answer{}, err
	}
	return answer{control: &wirepb.Delivered{Bytes: uint64(d.use.Size()), Complete: true}}, nil
}

// free ends the use of the ticket, which can be resumed if it is not complete.
func (d *delivery) free() {
	d.use.Leave()
	d.c.s.uncharge(d.c.tenant, d.held)
	if cap(d.buf) == wire.ChunkSize {
		b := d.buf[:0:cap(d.buf)]
		b = b[:cap(b)]
		d.c.s.buffers.Put(&b)
	}
	d.held, d.buf = 0, nil
}

// arrives completes a delivery. Rows of carried state wait for the running call of
// their session, so another goroutine does it.
func (st *stream) arrives(t *task) {
	if st.delivery.use.Spec().State == "" {
		t.run()
		return
	}
	st.c.wg.Add(1)
	go func() {
		defer st.c.wg.Done()
		defer st.c.s.guard(st.c.log)
		t.run()
	}()
}
