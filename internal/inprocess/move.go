package inprocess

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
)

// Ticket implements [transport.Receiver], for senders of this process.
func (s *session) Ticket(ctx context.Context, spec transport.TicketSpec) (transport.Ticket, error) {
	ctx, err := s.enter(ctx)
	if err != nil {
		return transport.Ticket{}, err
	}
	defer s.leave()
	if err := s.tickets.Full(); err != nil {
		return transport.Ticket{}, err
	}
	in, err := s.es.Expect(ctx, spec)
	if err != nil {
		return transport.Ticket{}, err
	}
	h := in.Handle()
	t, err := s.tickets.Issue(spec, in, func(arrived bool) {
		if !arrived {
			s.es.Release(h)
		}
	})
	if err != nil {
		s.es.Release(h)
		return transport.Ticket{}, err
	}
	return t.WithTarget(s), nil
}

// Deliver implements [transport.Target].
func (s *session) Deliver(ctx context.Context, t transport.Ticket, from transport.PeerID, v transport.Tensor) error {
	u, err := s.x.tickets.Present(t.ID, func(sender transport.PeerID, secret [32]byte) bool {
		return sender == from && secret == t.Secret
	})
	if err != nil {
		return err
	}
	defer u.Leave()
	if _, complete := u.Got(); complete && t.Begun {
		return nil
	}
	if spec := u.Spec(); v.DType != spec.DType || !slices.Equal(v.Shape, spec.Shape) {
		return fmt.Errorf("%w: it is for %v%v, the value is %v%v", transport.ErrTicket, spec.DType, spec.Shape, v.DType, v.Shape)
	}
	if err := u.Check(0, int64(len(v.Data))); err != nil {
		return err
	}
	if err := u.Write(v.Data); err != nil {
		return err
	}
	if u.Spec().State == "" {
		return u.Finish(ctx)
	}
	turn, err := s.enter(ctx) // rows change the state between two calls
	if err != nil {
		return err
	}
	defer s.leave()
	return u.Finish(turn)
}

// PeerID implements [transport.Sender].
func (s *session) PeerID(context.Context) (transport.PeerID, error) { return s.x.key.ID(), nil }

// Send implements [transport.Sender], to a session of this process.
func (s *session) Send(ctx context.Context, h transport.Handle, t transport.Ticket) error {
	return s.send(ctx, t, func(ctx context.Context) (*engine.Departing, error) {
		if err := s.es.Await(ctx, h); err != nil {
			return nil, err
		}
		return s.es.Depart(h)
	})
}

// SendState implements [transport.Sender].
func (s *session) SendState(ctx context.Context, name string, axis, start, stop int, t transport.Ticket) error {
	return s.send(ctx, t, func(ctx context.Context) (*engine.Departing, error) {
		return s.es.DepartRows(ctx, name, axis, start, stop)
	})
}

// send holds a value in the session's turn and copies it without.
func (s *session) send(ctx context.Context, t transport.Ticket, hold func(context.Context) (*engine.Departing, error)) error {
	if t.Target() == nil {
		return fmt.Errorf("%w: a session of this process sends to others of it alone", transport.ErrNoPeer)
	}
	d, err := s.hold(ctx, hold)
	if err != nil {
		return err
	}
	defer d.Close()
	v, err := d.Tensor()
	if err != nil {
		return err
	}
	return t.Target().Deliver(ctx, t, s.x.key.ID(), v)
}

func (s *session) hold(ctx context.Context, hold func(context.Context) (*engine.Departing, error)) (*engine.Departing, error) {
	ctx, err := s.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer s.leave()
	return hold(ctx)
}
