package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

// Arriving is a value on its way into a session, or rows of carried state, see
// [transport.TicketSpec]. Its memory is reserved. It ends with Arrived, or when
// the session releases its handle or closes.
type Arriving struct {
	s    *Session
	k    *retained
	h    transport.Handle
	spec transport.TicketSpec
	done chan struct{} // closed at the end
	err  error         // why it will not arrive; set before done is closed
}

// Expect reserves the memory of a value that arrives later. Errors are those of a
// call that retains the value.
func (s *Session) Expect(ctx context.Context, spec transport.TicketSpec) (a *Arriving, err error) {
	n, err := spec.Size()
	if err != nil {
		return nil, err
	}
	if limit := s.e.opts.MaxScratch; limit > 0 && n > limit {
		return nil, fmt.Errorf("%w: a value of %d bytes, the limit is %d", transport.ErrLimit, n, limit)
	}
	spec.Shape = slices.Clone(spec.Shape)
	k, err := s.allocate(ctx, spec, int(n), "a value that arrives")
	if err != nil {
		return nil, err
	}
	a = &Arriving{s: s, k: k, spec: spec, done: make(chan struct{})}
	k.coming = a
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.usable(); err != nil { // closed while memory was allocated
		s.free(k)
		return nil, err
	}
	s.nextID++
	s.gen++
	k.gen = s.gen
	s.retained[s.nextID] = k
	a.h = transport.Handle{Session: s.id, ID: s.nextID, Epoch: s.e.epoch, Generation: s.gen}
	return a, nil
}

// allocate makes a retained value of n bytes that the session does not list yet.
func (s *Session) allocate(ctx context.Context, spec transport.TicketSpec, n int, purpose string) (*retained, error) {
	select {
	case <-s.on.opened:
	case <-ctx.Done():
		return nil, device.Stopped(ctx)
	}
	if err := s.on.enter(); err != nil {
		return nil, s.on.gone()
	}
	defer s.on.leave()
	if err := s.mayUse(); err != nil {
		return nil, err
	}
	size := int64(n) + keptHead
	if err := s.budget.Take(size); err != nil {
		return nil, err
	}
	err := s.e.budget.Reserve(budget.Retained, size, purpose)
	if err != nil {
		s.budget.Give(size)
		return nil, err
	}
	mem, err := s.on.device.Alloc(ctx, device.UseRetained, n)
	if err != nil {
		s.budget.Give(size)
		s.e.budget.Release(budget.Retained, size)
		return nil, err
	}
	return &retained{dtype: spec.DType, shape: spec.Shape, mem: mem, n: n}, nil
}

// mayUse is usable with the lock taken.
func (s *Session) mayUse() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usable()
}

// Handle names the value.
func (a *Arriving) Handle() transport.Handle { return a.h }

// Size is its number of bytes.
func (a *Arriving) Size() int64 { return int64(a.k.n) }

// Done is closed when it has arrived, or never will.
func (a *Arriving) Done() <-chan struct{} { return a.done }

// Write stores bytes of the value, from byte off on.
func (a *Arriving) Write(b []byte, off int64) error {
	if off < 0 || off > int64(a.k.n)-int64(len(b)) {
		return fmt.Errorf("%w: bytes %d to %d of a value of %d", transport.ErrTicket, off, off+int64(len(b)), a.k.n)
	}
	if err := a.hold(); err != nil {
		return err
	}
	defer a.s.unuse(a.k)
	if err := a.s.on.enter(); err != nil {
		return a.s.on.gone()
	}
	defer a.s.on.leave()
	return a.s.on.device.Upload(a.k.mem, int(off), b, nil)
}

// hold keeps the memory until unuse.
func (a *Arriving) hold() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if err := a.s.usable(); err != nil {
		return err
	}
	if a.k.gone || a.k.coming == nil {
		return fmt.Errorf("%w: the value is not expected any more", transport.ErrTicket)
	}
	a.k.users++
	return nil
}

// Arrived makes the value, all of which has been written, one that the session
// retains, or puts the rows into the state. It waits for the session's running
// call if it is rows. When it fails the state is as before.
func (a *Arriving) Arrived(ctx context.Context) error {
	if err := a.hold(); err != nil {
		return err
	}
	defer a.s.unuse(a.k)
	if a.spec.State != "" {
		if err := a.s.putRows(ctx, a); err != nil {
			return err
		}
	}
	return a.ends()
}

// ends wakes what waits for the value.
func (a *Arriving) ends() error {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.k.coming == nil { // released meanwhile
		if a.spec.State != "" { // which has the rows
			return nil
		}
		return fmt.Errorf("%w: the value is not expected any more", transport.ErrTicket)
	}
	a.k.coming = nil
	close(a.done)
	if a.spec.State != "" {
		delete(a.s.retained, a.h.ID)
		a.s.forget(a.k)
	}
	return nil
}

// fails wakes what waits for a value that will not arrive. The caller holds the
// session's lock.
func (a *Arriving) fails() {
	a.err = fmt.Errorf("%w: value %d will not arrive: its ticket has expired or was taken back", transport.ErrTicket, a.h.ID)
	a.k.coming = nil
	close(a.done)
}

// Await waits until values that are still to arrive have, or ctx ends. Other
// handles are ignored. It is called before the call that uses them, which takes
// the session's turn.
func (s *Session) Await(ctx context.Context, hs ...transport.Handle) error {
	for _, h := range hs {
		a := s.coming(h)
		if a == nil {
			continue
		}
		select {
		case <-a.done:
			if a.err != nil {
				return a.err
			}
		case <-ctx.Done():
			return fmt.Errorf("genie: value %d has not arrived: %w", h.ID, context.Cause(ctx))
		}
	}
	return nil
}

// Coming reports whether a value is still to arrive.
func (s *Session) Coming(h transport.Handle) bool { return s.coming(h) != nil }

func (s *Session) coming(h transport.Handle) *Arriving {
	if h.IsZero() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k, err := s.find(h); err == nil {
		return k.coming
	}
	return nil
}
