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
	overload   bool // requests that an overloaded worker did not take are made again
	dial       func(ctx context.Context, addr string) (net.Conn, error)
	silence    time.Duration
	retry      remote.Retry
	given      credentials.Client
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

// WithReconnect makes a lost connection again, trying for up to limit, and the
// first one, too, when it is lost in its handshake. A session
// goes on where it was, as long as the worker holds it (`genie worker --lease`),
// and each of its requests is done once; otherwise its calls fail with
// [transport.ErrSessionLost]. Without it, or with 0, the calls of a lost
// connection fail with [transport.ErrUnreachable].
func WithReconnect(limit time.Duration) Option {
	return optionFunc(func(o *options) { o.retry.Max = max(limit, 0) })
}

// WithRetryOverloaded makes a request again that the worker did not take because
// it was overloaded, after the time that it hints at, until the request's context
// ends or would end before the next attempt. Without it the caller gets
// [transport.ErrOverloaded].
func WithRetryOverloaded() Option { return optionFunc(func(o *options) { o.overload = true }) }

// WithDialer makes the connection with dial, which a shaped or recorded link
// needs. Without it a [net.Dialer] does.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithCredentials gives the connection TLS, and a token to say who the client
// is. Without it there is neither.
func WithCredentials(c credentials.Client) Option {
	return optionFunc(func(o *options) { o.given = c })
}

// WithTracer sends the span of a call's context along with the call, so that the
// worker's spans are its children. Without it, or with nil, nothing is sent.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// Dial connects to the worker at addr, a host and a port. Errors wrap
// [transport.ErrUnreachable], [transport.ErrUnauthenticated] when one side does
// not accept the other, or [transport.ErrVersion] and [transport.ErrProtocol]
// when something else answers there.
func Dial(ctx context.Context, addr string, opts ...Option) (transport.Executor, error) {
	var d net.Dialer
	o := options{dial: func(ctx context.Context, addr string) (net.Conn, error) {
		return d.DialContext(ctx, "tcp", addr)
	}}
	for _, opt := range opts {
		opt.apply(&o)
	}
	url := "tcp://" + addr
	guard, err := secure.New(o.given)
	if err != nil {
		return nil, err
	}
	cfg := remote.Config{Addr: url, Ledger: &transport.Ledger{}, Log: o.log, MaxMessage: o.maxMessage, Silence: o.silence, RetryOverloaded: o.overload, Tracer: o.tracer}
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

// secured puts TLS over the connection where it is wanted, and says which token
// goes over it. It takes conn over, also when it fails.
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
