package engine

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// PanicError is a panic of code of this module, caught where it would have left
// the engine. It wraps [transport.ErrInternal].
type PanicError struct {
	Value any
	Stack []byte // of the goroutine that panicked; not for a peer
}

// Error gives the panic's value.
func (e *PanicError) Error() string { return fmt.Sprintf("%v: %v", transport.ErrInternal, e.Value) }

// Unwrap gives the cause.
func (*PanicError) Unwrap() error { return transport.ErrInternal }

// internal is the error of a panic. It is called by the deferred function that
// recovered from it; one that was raised again keeps its stack.
func internal(r any) error { return caught(r) }

func caught(r any) *PanicError {
	if e, ok := r.(*PanicError); ok {
		return e
	}
	return &PanicError{r, debug.Stack()}
}

// failure is the first panic of several goroutines.
type failure struct{ first atomic.Pointer[error] }

func (f *failure) set(r any) {
	err := internal(r)
	f.first.CompareAndSwap(nil, &err)
}

// take returns the error, once.
func (f *failure) take() error {
	if err := f.first.Swap(nil); err != nil {
		return *err
	}
	return nil
}

// recovered makes a panic an error where no session is concerned.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = internal(r)
	}
}

// fault is for tests: it lets them panic at a named place.
func (e *Engine) fault(at string) {
	if e.opts.fault != nil {
		e.opts.fault(at)
	}
}

// guard makes a panic outside of the kernels an error of the call. Nobody knows
// how far its bookkeeping came, so the session runs no other call; what it holds
// is given back when it closes.
func (s *Session) guard(err *error) {
	if r := recover(); r != nil {
		*err = s.breaks(r)
	}
}

func (s *Session) breaks(r any) error {
	err := internal(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = fmt.Errorf("%w: session %d is of no use since a call of it panicked", transport.ErrInternal, s.id)
	}
	return err
}

// usable is nil while calls can be made. The caller holds the session's lock.
func (s *Session) usable() error {
	if s.closed {
		return fmt.Errorf("%w: session", transport.ErrClosed)
	}
	return s.broken
}
