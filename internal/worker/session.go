package worker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// session is a session of a client's, on a connection that is another one after
// the client has come back: see lease. Its requests are done one after the other
// by one goroutine, but for those that are so brief that the goroutine which
// receives does them: see [session.takes].
type session struct {
	srv    *Server
	tenant *tenant
	es     Session
	queue  chan *task
	turn   chan struct{} // one token: its holder serves a request
	lease  *lease        // nil for a session that ends with its connection
	ended  chan struct{} // closed when all its resources are free
	last   remembered
	tenancy

	mu               sync.Mutex
	queued, finished uint64 // requests
	leaving          []leaving

	plans map[uint32]*prepared
	spare []byte // memory of the last call's inputs, for the next
	done  bool
	kept  map[uint64]*keptValue

	tickets *tickets.Owner

	claims []*claim // guarded by the lock of the server's claims
}

// prepared is a plan under its number.
type prepared struct {
	program Program
	layout  *wire.Layout
	causes  *inputCauses
	keeps   int   // retained outputs
	held    int64 // bytes that the tenant has paid for this

	expected expectation

	open      atomic.Bool             // the session's identity may use all of its weights
	challenge transport.PossessionKey // the session goroutine's; zero until it is needed
}

// openSession handles OpenSession.
func (c *conn) openSession(ctx context.Context, m *wirepb.OpenSession) (answer, error) {
	if len(m.GetKey()) == 0 {
		return c.open(m.GetSession())
	}
	return c.openKeyed(ctx, m.GetSession(), m.GetKey(), m.GetResume())
}

// open handles OpenSession for a session that ends with its connection.
func (c *conn) open(num uint32) (answer, error) {
	err := c.mayOpen(num)
	if err == nil {
		_, err = c.newSession(num)
	}
	return answer{}, err
}

// mayOpen is room, with the lock taken.
func (c *conn) mayOpen(num uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.room(num)
}

// room reports whether the connection has room for a session of that number. It
// is called with the lock. Only the receiving goroutine adds sessions.
func (c *conn) room(num uint32) error {
	if c.sessions[num] != nil {
		return fmt.Errorf("%w: session %d is open", transport.ErrProtocol, num)
	}
	if len(c.sessions) >= wire.MaxSessions {
		return fmt.Errorf("%w: %d sessions on this connection", transport.ErrLimit, len(c.sessions))
	}
	return nil
}

// newSession opens a session, charged to its tenant.
func (c *conn) newSession(num uint32) (*session, error) {
	if err := c.s.Alive(); err != nil {
		return nil, err
	}
	if err := c.tenant.sessions.take(1); err != nil {
		return nil, err
	}
	opened, held := false, int64(0)
	defer func() {
		if !opened {
			c.s.uncharge(c.tenant, held)
			c.tenant.sessions.give(1)
		}
	}()
	if err := c.s.charge(c.tenant, sessionBytes, "a session"); err != nil {
		return nil, err
	}
	held = sessionBytes
	s := &session{
		srv: c.s, tenant: c.tenant, es: c.s.opts.Engine.NewSession(), ended: make(chan struct{}),
		queue: make(chan *task, queueLen), turn: make(chan struct{}, 1), plans: map[uint32]*prepared{}, tenancy: c.s.admit.tenancy(c.tenant.identity),
		kept: map[uint64]*keptValue{}, tickets: c.s.tickets.NewOwner(),
	}
	s.turn <- struct{}{}
	s.es.Charge(&s.tenant.bytes)
	c.mu.Lock()
	c.sessions[num] = s
	c.mu.Unlock()
	c.s.meter.SessionsOpened.Add(1)
	opened = true // its charges end with the session
	c.s.wg.Add(1)
	go s.work()
	return s, nil
}

// session finds an open session.
func (c *conn) session(num uint32) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.sessions[num]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: no session %d on this connection", transport.ErrClosed, num)
}

// work serves the session's requests and frees it at the end.
func (s *session) work() {
	defer s.srv.wg.Done()
	defer close(s.ended)
	defer s.srv.guard(s.srv.opts.Log)
	defer s.leave()
	defer s.finish()
	for t := range s.queue {
		<-s.turn
		s.serve(t)
	}
}

// serve does one request. It is called with the session's turn, which it gives
// back.
func (s *session) serve(t *task) {
	c := t.st.c
	alone := false
	defer func() {
		if !alone {
			c.wg.Done()
		}
	}()
	defer func() { s.turn <- struct{}{} }()
	defer s.srv.guard(c.log)
	defer s.served()
	if t.first == nil {
		t.run()
		return
	}
	t.prepares()
	alone = true
	go func() {
		defer c.wg.Done()
		defer s.srv.guard(c.log)
		t.run()
	}()
}

// enqueue lets a request wait, or says why it may not; here reports that it is the
// caller's to do at once.
func (s *session) enqueue(t *task) (here bool, err error) {
	here = s.takes(t)
	s.mu.Lock()
	defer s.mu.Unlock()
	if here {
		s.queued++
		return true, nil
	}
	select {
	case s.queue <- t:
		s.queued++
		return false, nil
	default:
		return false, s.full()
	}
}

// end frees a session without requests.
func (s *session) end() { close(s.queue) }

// finish closes the engine's session. It is called by work's goroutine.
func (s *session) finish() {
	s.mu.Lock()
	first := !s.done
	s.done = true
	spare := s.spare
	s.spare = nil
	s.mu.Unlock()
	if first {
		defer s.tenant.sessions.give(1)
		defer s.srv.uncharge(s.tenant, sessionBytes)
		defer s.leavePlans()
		defer s.unstage(spare)
		defer s.last.drop(s)
		s.srv.claims.leave(s)
		s.tickets.Close()
		s.es.Close()
	}
}

// closeSession handles CloseSession: it cancels waiting and running requests.
// The session's goroutine answers when all resources are free.
func (c *conn) closeSession(num uint32) (*task, error) {
	s, err := c.session(num)
	if err != nil {
		return nil, err
	}
	t := &task{free: func() { close(s.queue) }, session: s}
	t.do = func(context.Context) (answer, error) {
		s.finish()
		return answer{}, nil
	}
	for _, st := range c.forgetSession(num, s) {
		st.fail(fmt.Errorf("%w: session %d", transport.ErrClosed, num))
	}
	return t, nil
}

// forgetSession removes a session from the connection and cancels its requests.
// It returns those that have not arrived completely.
func (c *conn) forgetSession(num uint32, s *session) (partial []*stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.sessions, num)
	c.s.leases.forget(s.lease)
	for _, st := range c.streams {
		switch {
		case st.task == nil || st.task.session != s:
		case st.receiving:
			partial = append(partial, st)
		default:
			st.cancel(fmt.Errorf("%w: session closed", context.Canceled))
		}
	}
	return partial
}

// plan finds a prepared plan.
func (s *session) plan(num uint32) (*prepared, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.plans[num]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("%w: no plan %d in this session", transport.ErrUnknownPlan, num)
}

// takeSpare is the memory that the session retained from its last call, if any.
func (s *session) takeSpare() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.spare
	s.spare = nil
	return b
}

// memory returns n bytes for the inputs of a call.
func (s *session) memory(n uint64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	b := s.takeSpare()
	plenty := s.srv.staging.plenty(n) // not under the lock, which spares takes
	if have := uint64(len(b)); have >= n && (plenty || have <= n+n/4) {
		return b, nil
	}
	s.unstage(b)
	if !plenty {
		return s.stage(n)
	}
	// Room beyond the need is only address space until it is used. It saves a
	// growing sequence from mapping and zeroing hundreds of megabytes at every
	// step.
	if b, err := s.stage(n + n/4); err == nil {
		return b, nil
	}
	return s.stage(n)
}

// giveBack retains the larger of two memories for the next call.
func (s *session) giveBack(b []byte) {
	if b == nil {
		return
	}
	s.mu.Lock()
	if !s.done && len(b) > len(s.spare) {
		b, s.spare = s.spare, b
	}
	s.mu.Unlock()
	s.unstage(b)
}

// read handles Read.
func (s *session) read(ctx context.Context, h *wirepb.Handle) (answer, error) {
	if err := s.es.Await(ctx, wire.HandleFrom(h)); err != nil {
		return answer{}, err
	}
	t, err := s.es.Read(wire.HandleFrom(h))
	if err != nil {
		return answer{}, err
	}
	m := &wirepb.Value{Dtype: uint32(t.DType), Shape: make([]uint64, len(t.Shape))}
	for i, d := range t.Shape {
		m.Shape[i] = uint64(d)
	}
	return answer{control: m, payload: []wire.Segment{{Data: t.Data, Cause: s.causeOf(h.GetId())}}}, nil
}
