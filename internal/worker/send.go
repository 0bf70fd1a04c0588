package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// sending is a value on its way to another worker.
type sending struct {
	s     *session
	t     transport.Ticket
	h     transport.Handle
	state string
	rows  [3]int // axis, start, stop

	out Departing
}

// send handles Send. The value is held in the session's turn; the transfer then
// runs beside the later requests of the session.
func (st *stream) send(control []byte) (*task, error) {
	var m wirepb.Send
	if err := decode(control, &m); err != nil {
		return nil, err
	}
	st.bound(m.GetDeadlineMs())
	s, err := st.c.session(m.GetSession())
	if err != nil {
		return nil, err
	}
	if st.c.s.opts.Peers == nil {
		return nil, fmt.Errorf("%w: this worker sends to no other", transport.ErrNoPeer)
	}
	x := &sending{s: s, h: wire.HandleFrom(m.GetHandle()), state: m.GetState(), rows: [3]int{
		int(m.GetAxis()), int(min(m.GetStart(), plan.MaxDimSize+1)), int(min(m.GetStop(), plan.MaxDimSize+1)),
	}}
	if x.t, err = ticketFrom(&m); err != nil {
		return nil, err
	}
	return &task{session: s, free: x.free, first: x.hold, do: x.do}, nil
}

// ticketFrom reads the ticket of a Send.
func ticketFrom(m *wirepb.Send) (t transport.Ticket, err error) {
	const longest = 512 // bytes of an address
	if len(m.GetSecret()) != len(t.Secret) || len(m.GetAddress()) > longest || int(min(m.GetCause(), 255)) >= plan.NumCauses {
		return t, fmt.Errorf("%w: a malformed ticket", transport.ErrProtocol)
	}
	t = transport.Ticket{
		Address: m.GetAddress(), ID: m.GetTicket(), Secret: [32]byte(m.GetSecret()), Begun: m.GetBegun(),
		Spec: transport.TicketSpec{DType: plan.DType(min(m.GetDtype(), 255)), Cause: plan.Cause(m.GetCause())},
	}
	if t.Spec.Shape, err = shapeFrom(m.GetShape()); err != nil {
		return t, err
	}
	t.Size, err = t.Spec.Size()
	return t, err
}

// hold takes the value in the session's turn.
func (x *sending) hold(ctx context.Context) (err error) {
	if x.state != "" {
		x.out, err = x.s.es.DepartRows(ctx, x.state, x.rows[0], x.rows[1], x.rows[2])
		return err
	}
	if err := x.s.es.Await(ctx, x.h); err != nil { // it may itself be one that arrives
		return err
	}
	x.out, err = x.s.es.Depart(x.h)
	return err
}

// do transfers it.
func (x *sending) do(ctx context.Context) (answer, error) {
	v, err := x.out.Tensor()
	if err != nil {
		return answer{}, err
	}
	if v.DType != x.t.Spec.DType || !slices.Equal(v.Shape, x.t.Spec.Shape) {
		return answer{}, fmt.Errorf("%w: it is for %v%v, the value is %v%v", transport.ErrTicket, x.t.Spec.DType, x.t.Spec.Shape, v.DType, v.Shape)
	}
	return answer{}, undelivered(x.s.srv.opts.Peers.Deliver(ctx, x.t, v))
}

func (x *sending) free() {
	if x.out != nil {
		x.out.Close()
	}
}

// undelivered is the error of a transfer for the sender's client. What concerns the
// ticket is passed on; the rest is about the receiver, and must not be taken for a
// fault of this worker.
func undelivered(err error) error {
	if err == nil {
		return nil
	}
	for _, cause := range []error{
		transport.ErrNoPeer, transport.ErrTicket, transport.ErrState, transport.ErrMemory, transport.ErrShape, transport.ErrDType, transport.ErrLimit,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, cause) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", transport.ErrNotDelivered, err)
}
