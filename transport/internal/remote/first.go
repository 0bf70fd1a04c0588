package remote

import (
	"context"
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/genie-sdk/go/transport"
)

// FinalError is an error of connecting for the first time that another attempt
// would end in, too.
type FinalError struct{ Err error }

// Error is that of the cause.
func (e *FinalError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *FinalError) Unwrap() error { return e.Err }

// NotDialled makes an error of dialling final, unless it is that of a connection
// that was there: nobody listens, or there is no such name.
func NotDialled(err error) error {
	for _, cut := range []error{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, syscall.ENOTCONN, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, cut) {
			return err
		}
	}
	return &FinalError{err}
}

// first makes the first connection. One that is lost while it is made, before
// the worker has said who it is, is made again as a later one would be. Where
// nobody listens, or somebody answers with a reason, it is not.
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

// lost reports whether err, of connecting for the first time, says that the
// connection was lost on the way.
func lost(err error) bool {
	if _, final := errors.AsType[*FinalError](err); final {
		return false
	}
	if _, answered := errors.AsType[*transport.RemoteError](err); answered {
		return false
	}
	return !permanent(err) && (errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrCorrupt))
}
