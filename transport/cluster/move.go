package cluster

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// A value that one member computes and another one reads crosses directly where
// both ends can and it is large ([transport.Sender], [transport.Receiver]).
// Otherwise it goes through this process, with the answer of one run and the
// request of the next: that is fewer round trips.

// directBytes is the size from which a value is large: about what a link of
// 10 Gbit/s carries in the round trip that a ticket costs.
const directBytes = 32 << 10

// ticketRest is how much of its time a ticket must have left: a transfer that has
// begun may take longer.
const ticketRest = 10 * time.Second

// maxExpected bounds the tickets that a part of a run takes; further values go
// through this process.
const maxExpected = 64

// WithDirect decides which values cross directly from member to member where they
// can. The default is those that are large when each batch is one and each other
// symbol 64: the activations of a prefill or of an image, not those of a decode
// step.
func WithDirect(direct func(from, to int, v plan.Spec) bool) Option {
	return optionFunc(func(o *options) { o.direct = direct })
}

// large is the default of [WithDirect].
func large(_, _ int, v plan.Spec) bool {
	sizes := plan.Bindings{}
	for i, d := range v.Shape {
		for _, s := range d.Symbols(nil) {
			if _, ok := sizes[s]; !ok && i > 0 {
				sizes[s] = 64
			} else if !ok {
				sizes[s] = 1
			}
		}
	}
	n, err := v.Shape.Elements().Eval(sizes)
	return err == nil && n*v.DType.Size() >= directBytes
}

// routes is what is known of direct ways between members.
type routes struct {
	begin  time.Time
	closed []atomic.Int64 // by from*members+to: there is none until this time after begin
}

// closedFor is how long a direct way that was not there is not tried again.
const closedFor = 30 * time.Second

func newRoutes(members int) *routes {
	return &routes{begin: time.Now(), closed: make([]atomic.Int64, members*members)}
}

// isClosed reports whether a way was not there a short while ago.
func (r *routes) isClosed(route int) bool {
	return int64(time.Since(r.begin)) < r.closed[route].Load()
}

// close notes that a way is not there.
func (r *routes) close(route int) {
	r.closed[route].Store(int64(time.Since(r.begin) + closedFor))
}

func (x *Executor) route(from, to int) int { return from*len(x.members) + to }

// direct makes the values of a split plan that cross directly stay where they
// are computed until they are sent.
func (s *session) direct(ctx context.Context, split *plan.Split) (used bool, err error) {
	for i := range split.Edges {
		e := &split.Edges[i]
		from, to := split.Parts[e.From].Device, split.Parts[e.To].Device
		if from == to || !s.x.opts.direct(from, to, split.Whole.Values[e.Value].Spec) {
			continue
		}
		ok, err := s.reaches(ctx, from, to)
		if err != nil {
			return used, err
		}
		if ok {
			split.Parts[e.From].Plan.Outputs[e.Output].Place = plan.Retain
			used = true
		}
	}
	return used, nil
}

// reaches reports whether values may cross directly from one member to another.
func (s *session) reaches(ctx context.Context, from, to int) (bool, error) {
	if s.x.routes.isClosed(s.x.route(from, to)) {
		return false, nil
	}
	b, err := s.member(ctx, to)
	if err != nil {
		return false, err
	}
	_, ok := b.(transport.Receiver)
	if ok {
		_, ok, err = s.peer(ctx, from)
	}
	if !ok && err == nil {
		s.x.routes.close(s.x.route(from, to))
	}
	return ok, err
}

// peer is the identity of a member as a sender; false for one that sends nothing.
func (s *session) peer(ctx context.Context, k int) (transport.PeerID, bool, error) {
	if id := s.on[k].peer.Load(); id != nil {
		return *id, true, nil
	}
	on, err := s.member(ctx, k)
	if err != nil {
		return transport.PeerID{}, false, err
	}
	sender, ok := on.(transport.Sender)
	if !ok {
		return transport.PeerID{}, false, nil
	}
	id, err := sender.PeerID(ctx)
	if errors.Is(err, transport.ErrNoPeer) {
		return id, false, nil
	}
	if err != nil {
		return id, false, s.x.failed(k, err)
	}
	s.on[k].peer.Store(&id)
	return id, true, nil
}

// ticket is a ticket of member to for a value of member from. ok is false where the
// value must go through this process.
func (s *session) ticket(ctx context.Context, from, to int, dt plan.DType, shape []int, cause plan.Cause) (t transport.Ticket, ok bool, err error) {
	if ok, err = s.reaches(ctx, from, to); !ok {
		return t, false, err
	}
	id, ok, err := s.peer(ctx, from)
	if !ok {
		return t, false, err
	}
	on, err := s.member(ctx, to)
	if err != nil {
		return t, false, err
	}
	t, err = on.(transport.Receiver).Ticket(ctx, transport.TicketSpec{DType: dt, Shape: shape, Cause: cause, Sender: id})
	if errors.Is(err, transport.ErrNoPeer) {
		s.x.routes.close(s.x.route(from, to))
		return t, false, nil
	}
	return t, err == nil, s.x.failed(to, err)
}

// send sends a value. ok is false where it must go through this process.
func (s *session) send(ctx context.Context, from, to int, h transport.Handle, t transport.Ticket) (ok bool, err error) {
	on, err := s.member(ctx, from)
	if err != nil {
		return false, err
	}
	err = on.(transport.Sender).Send(ctx, h, t)
	if errors.Is(err, transport.ErrNoPeer) {
		s.x.routes.close(s.x.route(from, to))
		return false, nil
	}
	return err == nil, s.x.failed(from, err)
}

// arrivals are the values that cross directly to one part of a run.
type arrivals struct {
	r       *partsRun
	part    int
	tickets map[int]transport.Ticket // by edge
}

// expect takes the tickets of a part's direct edges, while the parts that compute
// them may still run.
func (r *partsRun) expect(ctx context.Context, i int) (*arrivals, error) {
	a := &arrivals{r: r, part: i}
	part := &r.ref.split.Parts[i]
	for _, in := range part.Inputs {
		for _, e := range in.Edges {
			edge := &r.ref.split.Edges[e]
			from := &r.ref.split.Parts[edge.From]
			if len(a.tickets) == maxExpected || from.Device == part.Device || from.Plan.Outputs[edge.Output].Place != plan.Retain {
				continue
			}
			spec := &r.ref.split.Whole.Values[edge.Value].Spec
			shape, err := spec.Shape.Eval(r.sizes)
			if err != nil {
				continue // the part that computes it says so
			}
			t, ok, err := r.s.ticket(ctx, from.Device, part.Device, spec.DType, shape, plan.CauseActivation)
			if err != nil {
				a.done()
				return nil, err
			}
			if ok {
				if a.tickets == nil {
					a.tickets = map[int]transport.Ticket{}
				}
				a.tickets[e] = t
			}
		}
	}
	return a, nil
}

// edge is the value of a direct edge as an input of the part. It has arrived when
// edge returns: a run that waited for it on the member would hold its session's turn
// there, and what that session is to send to others would wait for the run. ok is
// false where it must go through this process.
func (a *arrivals) edge(ctx context.Context, e int) (in transport.Input, ok bool, err error) {
	t, ok := a.tickets[e]
	if !ok || time.Until(t.Expires) < ticketRest { // the part that computes it took long
		return in, false, nil
	}
	r := a.r
	edge := &r.ref.split.Edges[e]
	from, to := r.ref.split.Parts[edge.From].Device, r.ref.split.Parts[a.part].Device
	ok, err = r.s.send(ctx, from, to, r.results[edge.From].Outputs[edge.Output].Handle, t)
	return transport.Input{Handle: t.Handle, Cause: plan.CauseActivation}, ok, err
}

// done frees what has come.
func (a *arrivals) done() {
	for _, t := range a.tickets {
		a.r.s.spend(a.r.ref.split.Parts[a.part].Device, t.Handle)
	}
}
