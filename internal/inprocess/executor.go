// Package inprocess is an executor on an engine of this process, whatever device
// that has. Package transport/local opens one for users.
package inprocess

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/transport"
)

// New returns the executor of an engine, which it closes.
func New(e *engine.Engine) transport.Executor {
	return &executor{engine: e, key: transport.NewPeerKey(), tickets: tickets.New(0), sessions: map[*session]struct{}{}}
}

type executor struct {
	engine  *engine.Engine
	ledger  transport.Ledger
	plans   int64
	key     transport.PeerKey // in whose name its sessions send
	tickets *tickets.Table

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{} // open ones
}

// NewSession implements [transport.Executor].
func (x *executor) NewSession(ctx context.Context) (transport.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("local session: %w", ctxError(ctx))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, fmt.Errorf("%w: local executor", transport.ErrClosed)
	}
	s := newSession(x)
	x.sessions[s] = struct{}{}
	return s, nil
}

// Ledger implements [transport.Executor].
func (x *executor) Ledger() *transport.Ledger { return &x.ledger }

// Stats implements [transport.Executor].
func (x *executor) Stats(context.Context) (transport.Stats, error) {
	st := x.engine.Stats()
	open, plans := x.now()
	st.PlansSent = plans
	for _, s := range open {
		st.AddProfiles(s.es.Profiles()...)
	}
	return st, nil
}

// now is the open sessions and the number of compiled plans.
func (x *executor) now() (open []*session, plans int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for s := range x.sessions {
		open = append(open, s)
	}
	return open, x.plans
}

// Close implements [transport.Executor].
func (x *executor) Close() error {
	open, first := x.end()
	if !first {
		return nil
	}
	for _, s := range open {
		s.end()
		s.tickets.Close()
	}
	return x.engine.Close()
}

// end prevents new sessions and returns the open ones; first is false after an
// earlier call.
func (x *executor) end() (open []*session, first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, false
	}
	x.closed = true
	for s := range x.sessions {
		open = append(open, s)
	}
	clear(x.sessions)
	return open, true
}

// forget takes a session that is closed from the executor's.
func (x *executor) forget(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sessions, s)
}

// compiled counts a plan.
func (x *executor) compiled() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.plans++
}
