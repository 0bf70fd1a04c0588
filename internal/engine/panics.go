package engine

import (
	"fmt"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
)

// PanicError is [device.PanicError].
type PanicError = device.PanicError

// fault lets tests panic at a named place.
func (e *Engine) fault(at string) {
	if e.opts.fault != nil {
		e.opts.fault(at)
	}
}

// guard makes a panic outside the kernels an error of the call. The progress of
// its bookkeeping is unknown, so the session runs no other call; its memory is
// released when it closes.
func (s *Session) guard(err *error) {
	if r := recover(); r != nil {
		*err = s.breaks(r)
	}
}

func (s *Session) breaks(r any) error {
	err := device.Caught(r)
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
