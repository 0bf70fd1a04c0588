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
	"time"

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
	silence    time.Duration
	retry      remote.Retry
	tracer     transport.Tracer
}

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithLogger sends the executor's log to l. Without it nothing is logged.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(o *options) { o.log = l }) }

// WithMaxMessage bounds the inputs of one call, and the outputs, to n bytes
// each; [wire.MaxMessagePayload] without it. The worker has its own bound.
func WithMaxMessage(n uint64) Option { return optionFunc(func(o *options) { o.maxMessage = n }) }

// WithHeartbeat takes a worker that was silent for so long for dead;
// [wire.Silence] without it. Any byte is a sign of life, and a worker that
// computes still gives one. A negative duration waits for ever.
func WithHeartbeat(silence time.Duration) Option {
	return optionFunc(func(o *options) { o.silence = silence })
}

// WithReconnect makes a lost connection again, trying for up to limit. A session
// goes on where it was, as long as the worker holds it (`genie worker --lease`),
// and each of its requests is done once; otherwise its calls fail with
// [transport.ErrSessionLost]. Without it, or with 0, the calls of a lost
// connection fail with [transport.ErrUnreachable].
func WithReconnect(limit time.Duration) Option {
	return optionFunc(func(o *options) { o.retry.Max = max(limit, 0) })
}

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
	cfg := remote.Config{
		Addr: "tcp://" + addr, Ledger: &transport.Ledger{}, Log: o.log, MaxMessage: o.maxMessage, Silence: o.silence,
		Tracer: o.tracer,
	}
	x, err := remote.Dial(ctx, cfg, o.retry, func(ctx context.Context) (*remote.Client, error) {
		conn, err := o.dial(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", transport.ErrUnreachable, cfg.Addr, err)
		}
		return remote.Open(ctx, wire.NewTCP(conn, cfg.Ledger), cfg)
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}
