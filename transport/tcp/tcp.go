// Package tcp is the executor whose work a worker does over a TCP connection.
//
//	ex, err := tcp.Dial(ctx, "worker.example:7070")
//
// The package contains the client only; `genie worker` is the server. There is
// no fallback: a worker that cannot be reached is an error.
package tcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/internal/remote"
	"github.com/genie-sdk/go/transport/internal/secure"
	"github.com/genie-sdk/go/transport/wire"
)

// Option configures [Dial].
type Option interface{ apply(*options) }

type options struct {
	log        *slog.Logger
	maxMessage uint64
	overload   bool // retry requests that an overloaded worker refused
	dial       func(ctx context.Context, addr string) (net.Conn, error)
	silence    time.Duration
	retry      remote.Retry
	given      credentials.Client
	tracer     transport.Tracer
	ledger     *transport.Ledger
}

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithLogger sends the executor's log to l. Without it nothing is logged.
func WithLogger(l *slog.Logger) Option { return optionFunc(func(o *options) { o.log = l }) }

// WithMaxMessage bounds the inputs and the outputs of one call to n bytes each;
// the default is [wire.MaxMessagePayload]. The worker has its own limit.
func WithMaxMessage(n uint64) Option { return optionFunc(func(o *options) { o.maxMessage = n }) }

// WithHeartbeat declares a worker dead after the given silence; the default is
// [wire.Silence]. Any received byte counts as a sign of life, and a busy worker
// still sends heartbeats. A negative duration waits for ever.
func WithHeartbeat(silence time.Duration) Option {
	return optionFunc(func(o *options) { o.silence = silence })
}

// WithReconnect restores a lost connection, trying for up to limit. It also
// repeats the first connection if that is lost in its handshake. A session
// resumes as long as the worker holds it (`genie worker --lease`), and each of
// its requests is done exactly once; otherwise its calls fail with
// [transport.ErrSessionLost]. Without this option, or with 0, the calls of a
// lost connection fail with [transport.ErrUnreachable].
func WithReconnect(limit time.Duration) Option {
	return optionFunc(func(o *options) { o.retry.Max = max(limit, 0) })
}

// WithLedger counts the connection's bytes in l, which other executors may share.
// The default is a ledger of its own.
func WithLedger(l *transport.Ledger) Option { return optionFunc(func(o *options) { o.ledger = l }) }

// WithRetryOverloaded retries requests that the worker refused because it was
// overloaded, after the delay that it suggests, until the request's context
// ends or would end before the next attempt. Without it the caller gets
// [transport.ErrOverloaded].
func WithRetryOverloaded() Option { return optionFunc(func(o *options) { o.overload = true }) }

// WithDialer opens the connection with dial, for example for a shaped or
// recorded link. The default is a [net.Dialer].
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithCredentials sets TLS for the connection and the client's token. The
// default is neither.
func WithCredentials(c credentials.Client) Option {
	return optionFunc(func(o *options) { o.given = c })
}

// WithTracer sends the span of a call's context with the call, so that the
// worker's spans become its children. Without it, or with nil, no span is sent.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// Dial connects to the worker at addr, a host and a port. Errors wrap
// [transport.ErrUnreachable]; [transport.ErrUnauthenticated] if authentication
// fails in either direction; or [transport.ErrVersion] and
// [transport.ErrProtocol] if the server at addr is not a worker of this
// version.
func Dial(ctx context.Context, addr string, opts ...Option) (transport.Executor, error) {
	var d net.Dialer
	o := options{dial: func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}}
	for _, opt := range opts {
		opt.apply(&o)
	}
	if o.ledger == nil {
		o.ledger = &transport.Ledger{}
	}
	url := "tcp://" + addr
	guard, err := secure.New(o.given)
	if err != nil {
		return nil, err
	}
	cfg := remote.Config{Addr: url, Ledger: o.ledger, Log: o.log, MaxMessage: o.maxMessage, Silence: o.silence, RetryOverloaded: o.overload, Tracer: o.tracer}
	x, err := remote.Dial(ctx, cfg, o.retry, func(ctx context.Context) (*remote.Client, error) {
		conn, err := o.dial(ctx, addr)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", transport.ErrUnreachable, url, remote.NotDialled(err))
		}
		pipe, token, err := secured(ctx, conn, addr, guard, cfg.Ledger)
		if err != nil {
			return nil, remote.Describe("connection", url, err)
		}
		cfg := cfg
		cfg.Token = token
		return remote.Open(ctx, pipe, cfg)
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// secured sets up TLS on the connection if it is wanted and returns the token
// to send. It takes over conn, also when it fails.
func secured(ctx context.Context, conn net.Conn, addr string, guard *secure.Client, ledger *transport.Ledger) (wire.Pipe, string, error) {
	token, err := guard.Token(conn.RemoteAddr())
	if err != nil {
		_ = conn.Close()
		return nil, "", &remote.FinalError{Err: err}
	}
	if !guard.TLS() {
		return wire.NewTCP(conn, ledger), token, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wire.HandshakeTimeout)
	defer cancel()
	tc, err := guard.Handshake(ctx, conn, addr, wire.ALPN, ledger)
	if err != nil {
		return nil, "", err
	}
	return wire.NewTCP(tc, nil), token, nil
}
