package worker

import (
	"errors"
	"log/slog"
	"runtime/debug"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/transport"
)

// A panic ends the request in which it occurs, or at most its connection, and
// never the worker: deferred calls give back everything that a request has
// taken.

// guard is deferred by functions that run on their own goroutine.
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

// failed logs an internal error of the worker. The engine turns its panics into
// errors; the client learns only that there was one.
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
