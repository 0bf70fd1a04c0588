package inprocess

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/tickets"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// session implements [transport.Session].
type session struct {
	x     *executor
	es    *engine.Session
	turn  chan struct{} // one token: its holder uses the engine's session
	ended chan struct{} // closed by Close

	tickets *tickets.Owner

	unknown bool // guarded by turn: a loop ended early and left undefined state

	mu     sync.Mutex
	closed bool
	cancel context.CancelCauseFunc // ends the call under way; nil for none
	uses   map[*engine.Program]int // references to the programs that the session uses
	unused []*engine.Program       // those whose last reference is gone
}

func newSession(x *executor) *session {
	s := &session{
		x: x, es: x.engine.NewSession(), turn: make(chan struct{}, 1), ended: make(chan struct{}), uses: map[*engine.Program]int{},
		tickets: x.tickets.NewOwner(),
	}
	s.turn <- struct{}{}
	return s
}

// planRef implements [transport.PlanRef].
type planRef struct {
	session *session
	program *engine.Program
}

// Hash implements [transport.PlanRef].
func (r *planRef) Hash() plan.Hash { return r.program.Hash() }

// refer makes a reference to a program that the session uses. After the last
// one is gone, the session's next call ends the use and frees the memory of the
// program and its weights.
func (s *session) refer(p *engine.Program) *planRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uses[p]++
	r := &planRef{s, p}
	runtime.AddCleanup(r, s.unrefer, p)
	return r
}

func (s *session) unrefer(p *engine.Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses[p]--; s.uses[p] == 0 && !s.closed {
		s.unused = append(s.unused, p)
	}
}

// leaveUnused ends the use of programs that nothing refers to. The caller has the
// turn.
func (s *session) leaveUnused() {
	for _, p := range s.takeUnused() {
		s.es.Forget(p)
	}
}

func (s *session) takeUnused() []*engine.Program {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.unused[:0:0]
	for _, p := range s.unused {
		if n, ok := s.uses[p]; ok && n == 0 { // else prepared again, or in the list twice
			delete(s.uses, p)
			out = append(out, p)
		}
	}
	s.unused = nil
	return out
}

// sole reports whether a program has one reference.
func (s *session) sole(p *engine.Program) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.uses[p] == 1
}

// enter waits for the session's turn, for as long as ctx lasts and the session is
// open. The context of the call, which it returns, ends when the session closes,
// too. Every enter needs a leave.
func (s *session) enter(ctx context.Context) (context.Context, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("local session: %w", ctxError(ctx))
	}
	select {
	case <-s.turn:
	case <-s.ended: // without waiting for the call that Close cancels
		return nil, closedError()
	case <-ctx.Done():
		return nil, fmt.Errorf("local session: %w", ctxError(ctx))
	}
	call, cancel := context.WithCancelCause(ctx)
	if !s.begin(cancel) {
		cancel(nil)
		s.turn <- struct{}{}
		return nil, closedError()
	}
	s.leaveUnused()
	return call, nil
}

// begin notes how the call is cancelled; false for a session that is closed.
func (s *session) begin(cancel context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.cancel = cancel
	return true
}

func (s *session) leave() {
	defer func() { s.turn <- struct{}{} }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel(nil)
	s.cancel = nil
}

func closedError() error { return fmt.Errorf("%w: local session", transport.ErrClosed) }

// ctxError gives both the end of ctx and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	ctx, err := s.enter(ctx)
	if err != nil {
		if errors.Is(err, transport.ErrClosed) { // with all its values
			err = fmt.Errorf("%w: %w", transport.ErrStaleHandle, err)
		}
		return transport.Tensor{}, err
	}
	defer s.leave()
	if err := s.es.Await(ctx, h); err != nil {
		return transport.Tensor{}, err
	}
	t, err := s.es.Read(h)
	t.Shape, t.Data = slices.Clone(t.Shape), slices.Clone(t.Data)
	return t, err
}

// Release implements [transport.Session].
func (s *session) Release(ctx context.Context, h ...transport.Handle) error {
	if _, err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	for _, h := range h {
		s.tickets.TakeBack(h)
	}
	s.es.Release(h...)
	return nil
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if _, err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.es.Reset()
	s.unknown = false
	return nil
}

// Close implements [transport.Session]: the call that is under way is cancelled,
// and everything is free when it has ended.
func (s *session) Close() error {
	if s.end() {
		s.x.forget(s)
		s.tickets.Close()
		s.es.Close()
	}
	return nil
}

// end lets no call begin and cancels the one under way; false when that was done
// before.
func (s *session) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	close(s.ended)
	if s.cancel != nil {
		s.cancel(closedError())
	}
	return true
}
