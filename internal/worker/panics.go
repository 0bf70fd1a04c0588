package worker

import (
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
)

// A panic ends the request in which it occurs, or at most its connection, and
// never the worker: whatever a request has taken is given back by deferred calls.

// guard is deferred by what runs on a goroutine of its own.
func (s *Server) guard(log *slog.Logger) {
	if r := recover(); r != nil {
		s.panicked(log, r, debug.Stack())
	}
}

// panicked counts a panic and logs it.
func (s *Server) panicked(log *slog.Logger, value any, stack []byte) {
	s.meter.Panics.Add(1)
	log.Error("panic", "value", value, "stack", string(stack))
}

// panicked is the answer to a request that panicked.
func (st *stream) panicked(r any) error {
	st.c.s.panicked(st.logger(), r, debug.Stack())
	return transport.ErrInternal
}

// failed logs an error that is the worker's own. The engine makes its panics
// errors; nothing of them but that is for the client.
func (st *stream) failed(err error) error {
	if p, ok := errors.AsType[*engine.PanicError](err); ok {
		st.c.s.panicked(st.logger(), p.Value, p.Stack)
		return transport.ErrInternal
	}
	if transport.Code(err) == transport.Code(transport.ErrInternal) {
		st.logger().Error("request failed", "error", err)
	}
	return err
}
