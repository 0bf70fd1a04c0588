package genie

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// movable is carried state on an executor, and how long it is.
type movable struct {
	name  string
	mode  plan.StateMode
	axis  int // -1 for the whole state
	rows  int
	dtype plan.DType
	shape []int
}

func (v *movable) bytes() int64 {
	return int64(transport.Tensor{Shape: v.shape}.Elements()) * int64(v.dtype.Size())
}

// movables lists the state that a program has on the executor, as names says its
// sizes.
func (l *loop) movables(names plan.Bindings) ([]movable, error) {
	var out []movable
	seen := map[string]bool{}
	for p := range l.prepared {
		for _, st := range p.States {
			if seen[st.Name] {
				continue
			}
			seen[st.Name] = true
			spec := p.Values[st.In].Spec
			shape, err := spec.Shape.Eval(names)
			if err != nil {
				return nil, err
			}
			v := movable{name: st.Name, mode: st.Mode, axis: -1, dtype: spec.DType, shape: shape}
			if st.Mode == plan.StateAppend {
				v.axis, v.rows = st.Axis, shape[st.Axis]
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// after is the sizes that the next run finds.
func (l *loop) after() plan.Bindings {
	names := maps.Clone(l.names)
	for i, n := range l.p.next {
		names[l.p.symbols[n.symbol]] = l.next[i]
	}
	return names
}

// grownTo is the sizes that the next run finds when the appended states have n rows,
// for a loop that was stopped in the middle.
func (l *loop) grownTo(n int) plan.Bindings {
	names := maps.Clone(l.names)
	for p := range l.prepared {
		for _, st := range p.States {
			if st.Mode != plan.StateAppend {
				continue
			}
			if symbol, ok := p.Values[st.In].Spec.Shape[st.Axis].Symbol(); ok {
				names[symbol] = n
			}
		}
	}
	return names
}

// runsOn says that the next run finds these sizes.
func (l *loop) runsOn(names plan.Bindings) {
	for i, n := range l.p.next {
		l.next[i] = names[l.p.symbols[n.symbol]]
	}
	l.ran = true
}

// moveAway moves a session with state away from a worker that drains, if its state can
// be sent. It stays otherwise: the worker serves it until it stops. The caller has the
// turn.
func (s *Session) moveAway(ctx context.Context) error {
	if s.home.rooted == s.c.workers.fleet.at(&s.home).d.Worker {
		return nil
	}
	var states []movable
	for l := range s.states.all() {
		switch {
		case !l.ran:
			continue
		case l.gone != nil || l.byValue:
			return nil
		}
		more, err := l.movables(l.after())
		if err != nil {
			return err
		}
		states = append(states, more...)
	}
	rows := 0
	for i := range states {
		rows = max(rows, states[i].rows)
	}
	err := s.sendStates(ctx, states, rows, func(route.Decision) bool { return true })
	if err != nil && ctx.Err() == nil {
		s.home.rooted = s.c.workers.fleet.at(&s.home).d.Worker
		s.c.opts.logger.Warn("the session stays on a worker that drains", "error", err)
		return nil
	}
	return err
}

// errStays means that nothing is gained by sending state.
var errStays = errors.New("genie: the state is computed again")

// sendStates opens the session on another worker, and has the old one send the state
// there, if take agrees to the decision. On an error the session is where it was.
func (s *Session) sendStates(ctx context.Context, states []movable, rows int, take func(route.Decision) bool) error {
	m, old := s.c.workers.fleet, s.remote
	sender, ok := old.(transport.Sender)
	if !ok {
		return fmt.Errorf("%w: the executor sends nothing", transport.ErrNoPeer)
	}
	from, err := sender.PeerID(ctx)
	if err != nil {
		return err
	}
	h := home{r: s.home.r, settled: true}
	h.r.Home, h.r.HomeTokens = m.at(&s.home).d.Worker, max(rows, 1)
	h.r.Model = sized(h.r.Model, states, rows)
	remote, err := m.session(ctx, &h)
	if err != nil {
		return err
	}
	err = errStays
	if at := m.at(&h); at.d.Worker != h.r.Home && take(at.d) {
		err = send(ctx, sender, from, remote, states)
	}
	if err != nil {
		_ = remote.Close()
		m.left(&h)
		return err
	}
	if !s.useRemote(remote) {
		_ = remote.Close()
		m.left(&h)
		return errSessionClosed()
	}
	m.left(&s.home)
	m.move(&s.home, m.move(&h, stay{}))
	for l := range s.loops.all() {
		clear(l.prepared)
	}
	s.c.opts.logger.Info("the state of a session was sent to another worker", "states", len(states), "rows", rows)
	go func() { _ = old.Close() }() // it bounds its wait for a worker
	return nil
}

// sized is a model with the bytes that a row of the states has.
func sized(m *route.Model, states []movable, rows int) *route.Model {
	out := route.Model{}
	if m != nil {
		out = *m
	}
	total := int64(0)
	for i := range states {
		total += states[i].bytes()
	}
	out.StateSize = total / int64(max(rows, 1))
	return &out
}

func send(ctx context.Context, sender transport.Sender, from transport.PeerID, to transport.Session, states []movable) error {
	receiver, ok := to.(transport.Receiver)
	if !ok {
		return fmt.Errorf("%w: the executor receives nothing", transport.ErrNoPeer)
	}
	for i := range states {
		v := &states[i]
		spec := transport.TicketSpec{
			DType: v.dtype, Shape: v.shape, Cause: plan.CauseKV, Sender: from, State: v.name, Mode: v.mode, Axis: v.axis,
		}
		t, err := receiver.Ticket(ctx, spec)
		if err != nil {
			return err
		}
		if err := sender.SendState(ctx, v.name, v.axis, 0, v.rows, t); err != nil {
			return fmt.Errorf("state %q: %w", v.name, err)
		}
	}
	return nil
}

// checkDrain is after how many tokens of a loop it is asked again whether its worker
// drains.
const checkDrain = 8

// leavesWorker is errMoves for a generation whose worker drains while another one takes
// sessions. It is called with each token of a loop.
func (g *generation) leavesWorker() error {
	s := g.s
	if s.c.workers.fleet == nil || g.finished() || g.rounds()%checkDrain != 0 || !s.drains() {
		return nil
	}
	r := s.home.r
	r.Home = ""
	if d, err := s.c.workers.fleet.route(r); err != nil || d.Worker == s.c.workers.fleet.at(&s.home).d.Worker {
		return nil //nolint:nilerr // there is no other: it ends here, if it can
	}
	return errMoves
}

// moves continues a generation on another worker, to which its cache was sent, where
// that is predicted to take less time than to compute it again. It returns false when
// it was not.
func (g *generation) moves(ctx context.Context, cause error) (next []int32, ok bool, err error) {
	s := g.s
	if s.c.workers.fleet == nil || !errors.Is(cause, errMoves) || g.rounds() == 0 {
		return nil, false, nil
	}
	l := s.loops.of(g.lm.Next.Graph())
	if l == nil {
		return nil, false, nil
	}
	names := l.grownTo(g.length)
	states, err := l.movables(names)
	if err != nil || len(states) == 0 {
		return nil, false, err
	}
	begin := time.Now()
	cheaper := func(d route.Decision) bool { return d.From != "" }
	if err := s.sendStates(ctx, states, g.length, cheaper); err != nil {
		s.c.opts.logger.Info("the cache of a session is computed again", "error", err)
		return nil, false, ctx.Err()
	}
	l.runsOn(names)
	n := g.rounds()
	last := make([]int32, g.batch)
	for i, t := range g.out.Tokens {
		if len(t) == n {
			last[i] = int32(t[n-1])
		}
	}
	if next, err = g.step(ctx, n, g.row(last)); s.c.recovers(ctx, err) {
		return nil, false, nil
	}
	if err == nil && n > len(g.out.Steps) {
		g.out.Steps = append(g.out.Steps, time.Since(begin))
	}
	return next, true, err
}
