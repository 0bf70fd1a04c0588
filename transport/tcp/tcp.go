// Package tcp is the executor whose work a worker does over a TCP connection.
//
//	ex, err := tcp.Dial(ctx, "worker.example:7070")
//
// The package holds the client's half only; `genie worker` is the other. There
// is no falling back to anything: a worker that cannot be reached is an error.
package tcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/internal/remote"
	"github.com/genie-sdk/go/transport/wire"
)

// Option configures [Dial].
type Option interface{ apply(*options) }

type options struct {
	log        *slog.Logger
	maxMessage uint64
	dial       func(ctx context.Context, addr string) (net.Conn, error)
	tracer     transport.Tracer
}

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithLogger sends the executor's log to l. Without it nothing is logged.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(o *options) { o.log = l }) }

// WithMaxMessage bounds the inputs of one call, and the outputs, to n bytes
// each; [wire.MaxMessagePayload] without it. The worker has its own bound.
func WithMaxMessage(n uint64) Option { return optionFunc(func(o *options) { o.maxMessage = n }) }

// WithDialer makes the connection with dial, which a shaped or recorded link
// needs. Without it a [net.Dialer] does.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithTracer sends the span of a call's context along with the call, so that the
// worker's spans are its children. Without it, or with nil, nothing is sent.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// Dial connects to the worker at addr, a host and a port. Errors wrap
// [transport.ErrUnreachable], or [transport.ErrVersion] and
// [transport.ErrProtocol] when something else answers there.
func Dial(ctx context.Context, addr string, opts ...Option) (transport.Executor, error) {
	var d net.Dialer
	o := options{dial: func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}}
	for _, opt := range opts {
		opt.apply(&o)
	}
	url := "tcp://" + addr
	conn, err := o.dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", transport.ErrUnreachable, url, err)
	}
	ledger := &transport.Ledger{}
	c, err := remote.Open(ctx, wire.NewTCP(conn, ledger), remote.Config{
		Addr: url, Ledger: ledger, Log: o.log, MaxMessage: o.maxMessage, Tracer: o.tracer,
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}
