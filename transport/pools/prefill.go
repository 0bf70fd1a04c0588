package pools

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// atOnce bounds the transfers of a prefill that are under way together.
const atOnce = 16

// freeing bounds the time that freeing a cache in the pool may take.
const freeing = 10 * time.Second

// pooled reports whether a call goes to the pool: one with enough rows, the first
// of its session's state, that can be made in parts.
func (s *session) pooled(r *ref, call *transport.Call) bool {
	d := r.division
	if d == nil || len(call.Bindings) != len(r.plan.Symbols()) || len(call.Inputs) != len(r.plan.Inputs) ||
		call.Bindings[d.Past] != 0 || call.Bindings[d.Rows] < s.p.opts.Least {
		return false
	}
	for i := range call.Inputs {
		in := &call.Inputs[i]
		if !in.Handle.IsZero() || in.File != "" && d.Inputs[i] >= 0 {
			return false
		}
	}
	return d.Begun(r.plan, func(i int) []byte { return call.Inputs[i].Data }, 0)
}

// station is where the session prefills, with the plan prepared there.
func (s *session) station(ctx context.Context, r *ref) (*station, transport.PlanRef, error) {
	at, err := s.place(ctx)
	if err != nil {
		return nil, nil, err
	}
	if have := at.refs[r]; have != nil {
		return at, have, nil
	}
	have, err := at.s.Prepare(ctx, r.plan, r.weights, r.progress)
	if err != nil {
		s.abandon(at)
		return nil, nil, err
	}
	at.refs[r] = have
	return at, have, nil
}

// place opens the session in the pool.
func (s *session) place(ctx context.Context) (*station, error) {
	if at := s.current(); at != nil {
		return at, nil
	}
	x, member, err := s.p.open(ctx)
	if err != nil {
		return nil, err
	}
	both, ok := x.(sending)
	if !ok {
		_ = x.Close()
		return nil, fmt.Errorf("%w: a worker of the pool sends nothing", transport.ErrNoPeer)
	}
	at := &station{s: both, member: member, refs: map[*ref]transport.PlanRef{}}
	if !s.settle(at) {
		_ = x.Close()
		return nil, fmt.Errorf("%w: session", transport.ErrClosed)
	}
	return at, nil
}

func (s *session) current() *station {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at
}

// settle records where the session prefills, unless it is closed.
func (s *session) settle(at *station) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed && at != nil {
		return false
	}
	s.at = at
	return true
}

// abandon closes a station that failed: the next prefill is on another one.
func (s *session) abandon(at *station) {
	s.settle(nil)
	_ = at.s.Close()
}

// prefill makes a run in the pool. After an error the session's state is stale.
func (s *session) prefill(ctx context.Context, r *ref, call transport.Call) (res transport.Result, err error) {
	at, prepared, err := s.station(ctx, r)
	if err != nil {
		return res, err
	}
	s.p.busy(at.member, 1)
	defer s.p.busy(at.member, -1)
	s.stale = true
	call.Plan = prepared
	w := &work{session: s, at: at, r: r, call: call, rows: call.Bindings[r.division.Rows]}
	if res, err = w.do(ctx); err != nil {
		s.abandon(at)
		return res, err
	}
	s.stale = false
	s.p.prefills.Add(1)
	at.clear()
	return res, nil
}

// clear frees the cache of a station, which the session that decodes has.
func (at *station) clear() {
	done := make(chan struct{})
	at.cleared = done
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), freeing)
		defer cancel()
		_ = at.s.Reset(ctx) // the next prefill does it again
	}()
}

// work is one prefill in the pool.
type work struct {
	*session
	at     *station
	r      *ref
	call   transport.Call
	rows   int
	sender transport.PeerID
}

// do runs the parts. While one is computed, the rows of the one before are on
// their way.
func (w *work) do(ctx context.Context) (res transport.Result, err error) {
	if w.at.cleared != nil {
		<-w.at.cleared
	}
	if err := w.at.s.Reset(ctx); err != nil {
		return res, err
	}
	if w.sender, err = w.at.s.PeerID(ctx); err != nil {
		return res, err
	}
	var elapsed time.Duration
	under := func() error { return nil } // waits for the transfers under way
	defer func() {
		if e := under(); err == nil {
			err = e
		}
	}()
	for from := 0; from < w.rows; from += w.p.opts.Part {
		n := min(w.p.opts.Part, w.rows-from)
		tickets, issue := errgroup.WithContext(ctx)
		var list []transport.Ticket
		tickets.Go(func() (err error) {
			list, err = w.tickets(issue, from, n)
			return err
		})
		if res, err = w.at.s.Run(ctx, w.part(from, n)); err != nil {
			_ = tickets.Wait()
			w.takeBack(list)
			return res, err
		}
		elapsed += res.Elapsed
		err := tickets.Wait()
		if e := under(); err == nil {
			err = e
		}
		if err != nil {
			under = func() error { return nil }
			w.takeBack(list)
			return res, err
		}
		under = w.send(ctx, list, from, n)
	}
	res.Elapsed = elapsed
	return res, nil
}

// part is the call over some of the rows.
func (w *work) part(from, n int) transport.Call {
	d, call := w.r.division, w.call
	call.Bindings = append([]int(nil), call.Bindings...)
	call.Bindings[d.Rows], call.Bindings[d.Past] = n, from
	call.Inputs = append([]transport.Input(nil), call.Inputs...)
	for i, axis := range d.Inputs {
		if axis >= 0 {
			call.Inputs[i].Data = d.Cut(w.r.plan, i, w.call.Inputs[i].Data, w.call.Bindings, from, n)
		}
	}
	return call
}

// tickets asks for the right to append rows to every state of the session that
// decodes.
func (w *work) tickets(ctx context.Context, from, n int) ([]transport.Ticket, error) {
	states := w.r.plan.States
	out := make([]transport.Ticket, len(states))
	group, all := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	names := plan.Bindings{}
	for i, name := range w.r.plan.Symbols() {
		names[name] = w.call.Bindings[i]
	}
	for i := range states {
		st := &states[i]
		group.Go(func() (err error) {
			v := &w.r.plan.Values[st.In]
			shape, err := v.Spec.Shape.Eval(names)
			if err != nil {
				return err
			}
			shape[st.Axis] = n
			out[i], err = w.decode.Ticket(all, transport.TicketSpec{
				DType: v.Spec.DType, Shape: shape, Cause: plan.CauseKV, Sender: w.sender, State: st.Name, Mode: plan.StateAppend, Axis: st.Axis, Start: from,
			})
			return err
		})
	}
	return out, group.Wait()
}

// send sends the rows of a part, and returns what waits until the receiver has
// them. Transfers that failed are taken back.
func (w *work) send(ctx context.Context, list []transport.Ticket, from, n int) (wait func() error) {
	group, all := errgroup.WithContext(ctx)
	for i := range list {
		st := &w.r.plan.States[i]
		group.Go(func() error {
			err := w.at.s.SendState(all, st.Name, st.Axis, from, from+n, list[i])
			if err == nil {
				w.p.rows.Add(int64(n))
			}
			return err
		})
	}
	return func() error {
		err := group.Wait()
		if err != nil {
			w.takeBack(list)
		}
		return err
	}
}

// takeBack takes tickets back.
func (w *work) takeBack(list []transport.Ticket) {
	var handles []transport.Handle
	for _, t := range list {
		if !t.Handle.IsZero() {
			handles = append(handles, t.Handle)
		}
	}
	if len(handles) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), freeing)
	defer cancel()
	_ = w.decode.Release(ctx, handles...) // they expire otherwise
}
