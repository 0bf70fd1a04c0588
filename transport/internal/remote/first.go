package remote

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/genie-sdk/go/transport"
)

// FinalError is an error of the first connection that another attempt would not
// cure.
type FinalError struct{ Err error }

// Error is that of the cause.
func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *FinalError) Unwrap() error { return e.Err }

// NotDialled makes an error of dialling final, unless the connection was
// established: no server listens, or there is no such name.
func NotDialled(err error) error {
	for _, cut := range []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ENOTCONN, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, cut) {
			return err
		}
	}
	return &FinalError{err}
}

// first makes the first connection. If it is lost before the worker's Hello, it
// is made again like a later one. It is not if no server listens, or if the
// server answers with a reason.
func (x *Executor) first(ctx context.Context) (*Client, error) {
	begin := time.Now()
	c, err := x.dial(ctx)
	if err == nil || !x.retry.on() || ctx.Err() != nil || !lost(err) {
		return c, err
	}
	left := x.retry.Max - time.Since(begin)
	if left <= 0 {
		return nil, err
	}
	x.cfg.Log.Info("the connection was lost in its handshake and is made again", "addr", x.cfg.Addr, "error", err)
	if x.retry.sleep(ctx, firstWait) != nil {
		return nil, x.stopped(ctx)
	}
	return x.connect(ctx, left)
}

// lost reports whether err, of the first connection, says that it was lost
// while it was made.
func lost(err error) bool {
	if _, final := errors.AsType[*FinalError](err); final {
		return false
	}
	if _, answered := errors.AsType[*transport.RemoteError](err); answered {
		return false
	}
	return !permanent(err) && (errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrCorrupt))
}
