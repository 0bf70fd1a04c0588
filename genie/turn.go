package genie

import (
	"context"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/transport"
)

// oneToken is a channel that is a lock which is waited for no longer than a
// context: it may be held while something is computed or on the network.
func oneToken() chan struct{} {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	return c
}

// take waits for the token; what says in the error for what.
func take(ctx context.Context, token <-chan struct{}, what string) error {
	if ctx.Err() == nil {
		select {
		case <-token:
			return nil
		case <-ctx.Done():
		}
	}
	return fmt.Errorf("genie: waiting for %s: %w", what, ctxError(ctx))
}

// ctxError gives both the end of ctx and its cause.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// enter waits for the session's turn, for as long as ctx lasts and the session is
// open. The context of the call, which it returns, ends when the session closes,
// too. Every enter needs a leave.
func (s *Session) enter(ctx context.Context) (context.Context, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("genie: waiting for the session: %w", ctxError(ctx))
	}
	select {
	case <-s.turn:
	case <-s.ended: // without waiting for the call that Close cancels
		return nil, errSessionClosed()
	case <-ctx.Done():
		return nil, fmt.Errorf("genie: waiting for the session: %w", ctxError(ctx))
	}
	call, cancel := context.WithCancelCause(ctx)
	if !s.begin(cancel) {
		cancel(nil)
		s.turn <- struct{}{}
		return nil, errSessionClosed()
	}
	return call, nil
}

// begin notes how the call is cancelled; false for a session that is closed.
func (s *Session) begin(cancel context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.cancel = cancel
	return true
}

// leave gives the turn on.
func (s *Session) leave() {
	defer func() { s.turn <- struct{}{} }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cancel(nil)
	s.cancel = nil
}

func errSessionClosed() error { return fmt.Errorf("%w: session", ErrClosed) }

// Close frees what the session holds, here and on the executor. A call that is
// under way is cancelled and returns [ErrClosed], and so does every later one. It
// may be called from a callback of [Generate], and more than once.
func (s *Session) Close() error {
	remote, side := s.end()
	s.loops.done()
	if side != nil {
		_ = side.Close()
	}
	if remote == nil {
		return nil
	}
	defer s.depart(nil)
	return remote.Close()
}

// end lets no call begin, cancels the one under way, and gives what is to be
// closed: nothing but for the first time.
func (s *Session) end() (remote, side transport.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil
	}
	s.closed = true
	close(s.ended)
	if s.cancel != nil {
		s.cancel(errSessionClosed())
	}
	return s.remote, s.side
}

// useRemote makes r the session's half on an executor; false when the session has
// been closed meanwhile. The caller has the turn.
func (s *Session) useRemote(r transport.Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.remote = r
	}
	return !s.closed
}

// useSide does so for the half in this process, nil for none.
func (s *Session) useSide(side transport.Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.side = side
	}
	return !s.closed
}
