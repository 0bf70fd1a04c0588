package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// session implements [transport.Session], [transport.Looper] and
// [transport.LoopOpener].
type session struct {
	x  *Executor
	on []slot // by member

	// turn is held whole by a call that uses several members, and in part by
	// one that passes through to a member, which orders those itself.
	turn  *semaphore.Weighted
	ended chan struct{} // closed by Close

	carried carried // guarded by the whole turn

	mu       sync.Mutex
	closed   bool
	homes    map[string]int         // members that have carried states, by name
	spent    [][]transport.Handle   // by member: values to release
	profiled map[plan.Hash]*planRef // plans in parts that ran with a profile
}

const (
	whole = 1 << 30 // of the turn
	some  = 1
)

// slot is a session's session on one member, once it is open.
type slot struct {
	opened  atomic.Pointer[opened]
	peer    atomic.Pointer[transport.PeerID] // as a sender, once it is known
	opening chan struct{}                    // one token: its holder opens
}

type opened struct{ transport.Session }

func newSession(x *Executor) *session {
	s := &session{
		x: x, on: make([]slot, len(x.members)), turn: semaphore.NewWeighted(whole), ended: make(chan struct{}), spent: make([][]transport.Handle, len(x.members)),
	}
	for i := range s.on {
		s.on[i].opening = make(chan struct{}, 1)
		s.on[i].opening <- struct{}{}
	}
	return s
}

// member is the session on a member, which is opened if need be.
func (s *session) member(ctx context.Context, k int) (transport.Session, error) {
	slot := &s.on[k]
	if o := slot.opened.Load(); o != nil {
		return o.Session, nil
	}
	select {
	case <-slot.opening:
	case <-s.ended:
		return nil, closedError()
	case <-ctx.Done():
		return nil, fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	defer func() { slot.opening <- struct{}{} }()
	if o := slot.opened.Load(); o != nil {
		return o.Session, nil
	}
	o, err := s.x.members[k].Executor.NewSession(ctx)
	if err != nil {
		return nil, s.x.failed(k, err)
	}
	if !s.keep(k, o) {
		_ = o.Close()
		return nil, closedError()
	}
	return o, nil
}

// keep notes a member's session; false for a session that is closed.
func (s *session) keep(k int, o transport.Session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.on[k].opened.Store(&opened{o})
	return true
}

// enter waits for n of the session's turn, for as long as ctx lasts and the
// session is open. Every enter needs a leave.
func (s *session) enter(ctx context.Context, n int64) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cluster session: %w", ctxError(ctx))
	}
	if !s.turn.TryAcquire(n) {
		wait, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		go func() {
			select {
			case <-s.ended:
				cancel(closedError())
			case <-wait.Done():
			}
		}()
		if err := s.turn.Acquire(wait, n); err != nil {
			if cause := context.Cause(wait); errors.Is(cause, transport.ErrClosed) {
				return cause
			}
			return fmt.Errorf("cluster session: %w", ctxError(wait))
		}
	}
	select {
	case <-s.ended:
		s.leave(n)
		return closedError()
	default:
		return nil
	}
}

func (s *session) leave(n int64) { s.turn.Release(n) }

// endedBy adds that the session was closed, where that is why a call failed.
func (s *session) endedBy(err *error) {
	select {
	case <-s.ended:
		if *err != nil && !errors.Is(*err, transport.ErrClosed) {
			*err = fmt.Errorf("%w: %w", closedError(), *err)
		}
	default:
	}
}

func closedError() error { return fmt.Errorf("%w: cluster session", transport.ErrClosed) }

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	if err := s.enter(ctx, some); err != nil {
		if errors.Is(err, transport.ErrClosed) { // with all its values
			err = fmt.Errorf("%w: %w", transport.ErrStaleHandle, err)
		}
		return transport.Tensor{}, err
	}
	defer s.leave(some)
	k, own, err := s.whose(h)
	if err != nil {
		return transport.Tensor{}, err
	}
	t, err := s.on[k].opened.Load().Read(ctx, own)
	return t, s.x.failed(k, err)
}

// whose is the member that has a value, and its own handle.
func (s *session) whose(h transport.Handle) (int, transport.Handle, error) {
	k, own, ok := s.x.whose(h)
	if !ok || s.on[k].opened.Load() == nil {
		return 0, own, fmt.Errorf("%w: no member has given it to the session", transport.ErrStaleHandle)
	}
	return k, own, nil
}

// Release implements [transport.Session].
func (s *session) Release(ctx context.Context, h ...transport.Handle) error {
	if err := s.enter(ctx, some); err != nil {
		return err
	}
	defer s.leave(some)
	by := map[int][]transport.Handle{}
	for _, one := range h {
		if k, own, err := s.whose(one); err == nil {
			by[k] = append(by[k], own)
		}
	}
	var errs []error
	for k, list := range by {
		errs = append(errs, s.x.failed(k, s.on[k].opened.Load().Release(ctx, list...)))
	}
	return errors.Join(errs...)
}

// Rewind implements [transport.Rewinder], where the members do.
func (s *session) Rewind(ctx context.Context, to ...transport.StateLength) error {
	if err := s.enter(ctx, whole); err != nil {
		return err
	}
	defer s.leave(whole)
	if err := s.ready(ctx); err != nil {
		return err
	}
	by := map[int][]transport.StateLength{}
	for _, t := range to {
		k, ok := s.home(t.Name)
		if !ok && t.Length != 0 {
			return fmt.Errorf("%w: the session has no state %.80q", transport.ErrState, t.Name)
		}
		by[k] = append(by[k], t)
	}
	done := 0
	for k, list := range by {
		err := s.takeBack(ctx, &undo{member: k, rewind: list})
		if err != nil && done > 0 { // some members have done it
			s.carried.undefined = true
		}
		if err != nil {
			return err
		}
		done++
	}
	return nil
}

// home is the member that has a carried state.
func (s *session) home(state string) (member int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	member, ok = s.homes[state]
	return member, ok
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if err := s.enter(ctx, whole); err != nil {
		return err
	}
	defer s.leave(whole)
	return s.reset(ctx)
}

// reset clears the carried state of all members. The caller has the turn.
func (s *session) reset(ctx context.Context) error {
	group, all := errgroup.WithContext(ctx)
	for k := range s.on {
		if o := s.on[k].opened.Load(); o != nil {
			group.Go(func() error { return s.x.failed(k, o.Reset(all)) })
		}
	}
	if err := group.Wait(); err != nil {
		s.carried.undefined = true
		return err
	}
	for _, u := range s.carried.undo {
		for _, r := range u.restore {
			s.spend(u.member, r.handle)
		}
	}
	s.carried = carried{}
	return nil
}

// Close implements [transport.Session]: the members' sessions are closed, which
// cancels what is under way.
func (s *session) Close() error {
	if !s.end() {
		return nil
	}
	s.x.forget(s)
	errs := make([]error, len(s.on))
	var wait sync.WaitGroup
	for k := range s.on {
		if o := s.on[k].opened.Load(); o != nil {
			wait.Go(func() { errs[k] = s.x.failed(k, o.Close()) })
		}
	}
	wait.Wait()
	return errors.Join(errs...)
}

// end lets no call begin; false when that was done before.
func (s *session) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.closed = true
	close(s.ended)
	return true
}
