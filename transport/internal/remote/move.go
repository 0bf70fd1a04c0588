package remote

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// features are what this client can, see [wire.Features].
const features = wire.FeatureReceive | wire.FeatureSend

// offers reports whether both ends can do something.
func (c *Client) offers(f wire.Features) error {
	if both := features & wire.Features(c.hello.GetFeatures()); !both.Has(f) {
		return fmt.Errorf("%w: the worker at %s does not offer it", transport.ErrNoPeer, c.cfg.Addr)
	}
	return nil
}

// offered checks what the session's worker offers.
func (s *session) offered(ctx context.Context, f wire.Features) (*Client, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	c, err := s.connection(ctx)
	if err != nil {
		return nil, err
	}
	return c, c.offers(f)
}

// Ticket implements [transport.Receiver].
func (s *session) Ticket(ctx context.Context, spec transport.TicketSpec) (transport.Ticket, error) {
	size, err := spec.Size()
	if err != nil {
		return transport.Ticket{}, err
	}
	if _, err := s.offered(ctx, wire.FeatureReceive); err != nil {
		return transport.Ticket{}, err
	}
	control := &wirepb.Ticket{
		Session: s.num, Dtype: uint32(spec.DType), Shape: dims(spec.Shape), Cause: uint32(spec.Cause), Sender: spec.Sender[:],
		LifetimeMs: uint64(max(spec.Lifetime, 0).Milliseconds()),
		State:      spec.State, Mode: uint32(spec.Mode), Axis: int32(spec.Axis), Start: uint64(spec.Start),
	}
	var m wirepb.Issued
	asked := time.Now()
	r := &request{
		typ: wire.TypeTicket, order: s.order, control: control, answer: &m,
		number: func(seq uint64) { control.Seq = seq },
	}
	if err := s.call(ctx, r); err != nil {
		return transport.Ticket{}, err
	}
	t := transport.Ticket{
		Address: s.x.cfg.Addr, Handle: wire.HandleFrom(m.GetHandle()), ID: m.GetTicket(), Size: size, Spec: spec,
		Expires: asked.Add(time.Duration(min(m.GetLifetimeMs(), uint64(transport.TicketLifetime/time.Millisecond))) * time.Millisecond),
	}
	if len(m.GetSecret()) != len(t.Secret) || t.Handle.IsZero() || len(m.GetAddress()) > maxAddress {
		return transport.Ticket{}, fmt.Errorf("%w: a malformed ticket", transport.ErrProtocol)
	}
	t.Secret = [32]byte(m.GetSecret())
	if m.GetAddress() != "" {
		t.Address = m.GetAddress()
	}
	s.keep(t.Handle, keptValue{spec.Cause, spec.DType, spec.Shape})
	return t, nil
}

// maxAddress bounds an address in a ticket, in bytes.
const maxAddress = 512

func dims(shape []int) []uint64 {
	out := make([]uint64, len(shape))
	for i, d := range shape {
		out[i] = uint64(d)
	}
	return out
}

// PeerID implements [transport.Sender].
func (s *session) PeerID(ctx context.Context) (id transport.PeerID, err error) {
	c, err := s.offered(ctx, wire.FeatureSend)
	if err != nil {
		return id, err
	}
	if len(c.hello.GetPeer()) != len(id) {
		return id, fmt.Errorf("%w: a worker that sends without a key", transport.ErrProtocol)
	}
	return transport.PeerID(c.hello.GetPeer()), nil
}

// Send implements [transport.Sender].
func (s *session) Send(ctx context.Context, h transport.Handle, t transport.Ticket) error {
	return s.send(ctx, t, &wirepb.Send{Handle: wire.HandleMessage(h)})
}

// SendState implements [transport.Sender].
func (s *session) SendState(ctx context.Context, name string, axis, start, stop int, t transport.Ticket) error {
	if name == "" || start < 0 || stop < start {
		return fmt.Errorf("%w: rows %d to %d of %q", transport.ErrShape, start, stop, name)
	}
	return s.send(ctx, t, &wirepb.Send{State: name, Axis: int32(axis), Start: uint64(start), Stop: uint64(stop)})
}

func (s *session) send(ctx context.Context, t transport.Ticket, control *wirepb.Send) error {
	if _, err := s.offered(ctx, wire.FeatureSend); err != nil {
		return err
	}
	if t.Address == "" || t.Target() != nil {
		return fmt.Errorf("%w: a worker does not reach sessions of its client", transport.ErrNoPeer)
	}
	control.Session = s.num
	control.Address, control.Ticket, control.Secret, control.Begun = t.Address, t.ID, t.Secret[:], t.Begun
	control.Dtype, control.Shape, control.Cause = uint32(t.Spec.DType), dims(t.Spec.Shape), uint32(t.Spec.Cause)
	return s.call(ctx, &request{
		typ: wire.TypeSend, order: s.order, control: control, named: control.Handle != nil,
		again: func() { control.Begun = true },
	})
}

// stallTime is how long a receiver may take nothing of a value.
const stallTime = 30 * time.Second

// Deliver implements [transport.Courier].
func (x *Executor) Deliver(ctx context.Context, t transport.Ticket, as transport.PeerKey, v transport.Tensor) error {
	if int64(len(v.Data)) != t.Size {
		return fmt.Errorf("%w: it is for %d bytes, the value has %d", transport.ErrTicket, t.Size, len(v.Data))
	}
	d := &delivering{x: x, t: &t, as: as, data: v.Data, ask: t.Begun}
	for attempt := 1; ; attempt++ {
		c, err := x.connection(ctx)
		if err != nil {
			return d.unreachable(err)
		}
		if err = d.attempt(ctx, c); err == nil {
			return nil
		}
		d.ask = d.ask || d.began
		corrupt := errors.Is(err, transport.ErrCorrupt) && c.lives() && attempt < corruptAttempts && ctx.Err() == nil
		if !corrupt && !x.again(ctx, c, attempt) {
			if !c.lives() {
				return d.unreachable(err)
			}
			return err
		}
	}
}

// delivering is a value on its way to the receiver of a ticket.
type delivering struct {
	x     *Executor
	t     *transport.Ticket
	as    transport.PeerKey
	data  []byte
	ask   bool // an earlier attempt may have brought something
	began bool // so has one of these
}

// unreachable is the error of a receiver that is not there.
func (d *delivering) unreachable(err error) error {
	if !d.began && !d.ask && errors.Is(err, transport.ErrUnreachable) {
		return fmt.Errorf("%w: %w", transport.ErrNoPeer, err)
	}
	return err
}

// attempt delivers on a connection what the receiver does not have.
func (d *delivering) attempt(ctx context.Context, c *Client) error {
	if err := c.offers(wire.FeatureReceive); err != nil {
		return err
	}
	id := d.as.ID()
	control := &wirepb.Deliver{Ticket: d.t.ID, Sender: id[:], Signature: d.as.Present(c.hello.GetNonce(), d.t.ID, d.t.Secret)}
	if d.ask {
		n, complete, err := d.arrived(ctx, c, control)
		if err != nil || complete {
			return err
		}
		control.Offset = n
	}
	payload := []wire.Segment{{Data: d.data[control.Offset:], Cause: d.t.Spec.Cause}}
	control.Ask, control.Bytes = false, uint64(len(d.data))-control.Offset
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallTime, func() {
		cancel(fmt.Errorf("%w: %s takes nothing of a value for %v", transport.ErrUnreachable, c.cfg.Addr, stallTime))
	})
	defer stall.Stop()
	left := len(payload[0].Data)
	d.began = true
	return c.call(ctx, &request{typ: wire.TypeDeliver, control: control, payload: payload, sent: func(n int) {
		if left -= n; left > 0 {
			stall.Reset(stallTime)
		} else {
			stall.Stop() // it may have to wait for a run of the receiver
		}
	}, answer: &wirepb.Delivered{}, cause: plan.CauseControl})
}

// arrived asks what the receiver has.
func (d *delivering) arrived(ctx context.Context, c *Client, control *wirepb.Deliver) (n uint64, complete bool, err error) {
	control.Ask = true
	var m wirepb.Delivered
	if err := c.call(ctx, &request{typ: wire.TypeDeliver, control: control, answer: &m}); err != nil {
		return 0, false, err
	}
	if n = m.GetBytes(); n > uint64(len(d.data)) {
		return 0, false, fmt.Errorf("%w: %d bytes of a value of %d have arrived", transport.ErrProtocol, n, len(d.data))
	}
	return n, m.GetComplete(), nil
}
