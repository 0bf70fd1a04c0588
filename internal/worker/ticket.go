package worker

import (
	"context"
	"fmt"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// ticketBytes is the memory of the Go heap for a ticket, besides the value.
const ticketBytes = 1 << 10

// askTicket handles Ticket.
func (st *stream) askTicket(control []byte) (*task, error) {
	var m wirepb.Ticket
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	st.bound(m.GetDeadlineMs())
	spec, err := ticketSpec(&m)
	if err != nil {
		return nil, err
	}
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, err
	}
	return &task{session: s, free: nothing, seq: m.GetSeq(), do: func(ctx context.Context) (answer, error) {
		return s.issue(ctx, spec)
	}}, nil
}

// ticketSpec reads what a ticket is for.
func ticketSpec(m *wirepb.Ticket) (transport.TicketSpec, error) {
	spec := transport.TicketSpec{
		DType: plan.DType(min(m.GetDtype(), 255)), Cause: plan.Cause(min(m.GetCause(), 255)),
		State: m.GetState(), Mode: plan.StateMode(min(m.GetMode(), 255)), Axis: int(m.GetAxis()), Start: int(min(m.GetStart(), plan.MaxDimSize+1)),
		Lifetime: time.Duration(min(m.GetLifetimeMs(), uint64(transport.TicketLifetime.Milliseconds()))) * time.Millisecond,
	}
	var err error
	if spec.Shape, err = shapeFrom(m.GetShape()); err != nil {
		return spec, err
	}
	switch {
	case len(m.GetSender()) != len(spec.Sender):
		return spec, fmt.Errorf("%w: a ticket for a sender whose key has %d bytes", transport.ErrProtocol, len(m.GetSender()))
	case int(spec.Cause) >= plan.NumCauses:
		return spec, fmt.Errorf("%w: a ticket with cause %d", transport.ErrProtocol, spec.Cause)
	}
	spec.Sender = transport.PeerID(m.GetSender())
	_, err = spec.Size()
	return spec, err
}

// shapeFrom reads a shape.
func shapeFrom(dims []uint64) ([]int, error) {
	if len(dims) > plan.MaxRank {
		return nil, fmt.Errorf("%w: rank %d, the limit is %d", transport.ErrShape, len(dims), plan.MaxRank)
	}
	shape := make([]int, len(dims))
	for i, d := range dims {
		if d > plan.MaxDimSize {
			return nil, fmt.Errorf("%w: a dimension of %d", transport.ErrShape, d)
		}
		shape[i] = int(d)
	}
	return shape, nil
}

// issue makes a ticket for the session, whose memory it reserves.
func (s *session) issue(ctx context.Context, spec transport.TicketSpec) (answer, error) {
	if err := s.mayKeep(1); err != nil {
		return answer{}, err
	}
	if err := s.tickets.Full(); err != nil {
		return answer{}, err
	}
	if err := s.srv.charge(s.tenant, ticketBytes, "a ticket"); err != nil {
		return answer{}, err
	}
	issued := false
	defer func() {
		if !issued {
			s.srv.uncharge(s.tenant, ticketBytes)
		}
	}()
	in, err := s.es.Expect(ctx, spec)
	if err != nil {
		return answer{}, err
	}
	h := in.Handle()
	s.keeps(h, spec.Cause)
	t, err := s.tickets.Issue(spec, in, func(arrived bool) {
		s.srv.uncharge(s.tenant, ticketBytes)
		if !arrived || spec.State != "" {
			s.lets(h)
		}
	})
	if err != nil {
		s.lets(h)
		return answer{}, err
	}
	issued = true
	return answer{control: &wirepb.Issued{
		Handle: wire.HandleMessage(h), Ticket: t.ID, Secret: t.Secret[:],
		LifetimeMs: uint64(max(time.Until(t.Expires).Milliseconds(), 1)), Address: s.srv.opts.Advertise,
	}}, nil
}

// lets frees a value that has not arrived, and forgets it.
func (s *session) lets(h transport.Handle) {
	s.es.Release(h)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.kept, h.ID)
}

// awaits reports whether a call has an input that is still to arrive.
func (r *call) awaits() bool {
	for _, h := range r.handles {
		if r.s.es.Coming(h) {
			return true
		}
	}
	return false
}
