// Package rpc is the executor whose work a worker does over gRPC: one
// bidirectional stream of service genie.v1.Genie on one HTTP/2 connection.
//
//	ex, err := rpc.Dial(ctx, "worker.example:7071")
//
// The package holds the client's half only; `genie worker` is the other. There
// is no falling back to anything: a worker that cannot be reached is an error.
package rpc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/internal/remote"
	"github.com/genie-sdk/go/transport/internal/secure"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
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

// WithTracer sends the span of a call's context along with the call, so that the
// worker's spans are its children. Without it, or with nil, nothing is sent. A
// tracer that is a [ConnTracer] follows the connection too.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// ConnTracer is a tracer that follows what gRPC itself does. All calls of a
// connection are messages of one gRPC stream, which has one span.
type ConnTracer interface {
	ClientHandler() stats.Handler
}

// dialOptions are those that the tracer wants.
func (o *options) dialOptions() []grpc.DialOption {
	if t, ok := o.tracer.(ConnTracer); ok {
		return []grpc.DialOption{grpc.WithStatsHandler(t.ClientHandler())}
	}
	return nil
}

const grpcBuffer = 256 << 10

// WithCredentials gives the connection TLS, and a token to say who the client
// is. Without it there is neither.
func WithCredentials(c credentials.Client) Option {
	return optionFunc(func(o *options) { o.given = c })
}

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
	url := "grpc://" + addr
	guard, err := secure.New(o.given)
	if err != nil {
		return nil, err
	}
	cfg := remote.Config{Addr: url, Ledger: &transport.Ledger{}, Log: o.log, MaxMessage: o.maxMessage, Silence: o.silence, RetryOverloaded: o.overload, Tracer: o.tracer}
	x, err := remote.Dial(ctx, cfg, o.retry, func(ctx context.Context) (*remote.Client, error) {
		creds := newCreds(guard, addr, cfg.Ledger) // for this connection: files and token may have changed
		pipe, err := connect(ctx, addr, &o, creds)
		if err != nil {
			return nil, remote.Describe("connection", url, creds.reason(err))
		}
		cfg := cfg
		cfg.Token = creds.token
		return remote.Open(ctx, pipe, cfg)
	})
	if err != nil {
		return nil, err
	}
	return x, nil
}

// errRedial ends gRPC's own attempts to connect again: a new connection begins
// with a handshake, and its sessions have to be joined to it.
var errRedial = errors.New("the connection is not made a second time")

// connect dials and opens the stream.
func connect(ctx context.Context, addr string, o *options, creds *creds) (wire.Pipe, error) {
	var dialled atomic.Bool
	life := &wire.Activity{}
	dial := func(ctx context.Context, addr string) (net.Conn, error) {
		if dialled.Swap(true) {
			return nil, errRedial
		}
		conn, err := o.dial(ctx, addr)
		if err != nil {
			return nil, creds.failed(remote.NotDialled(err))
		}
		return grpcwire.WatchConn(conn, life), nil
	}
	cc, err := grpc.NewClient("passthrough:///"+addr, append(o.dialOptions(),
		grpc.WithTransportCredentials(creds), grpc.WithContextDialer(dial),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(grpcwire.Codec()),
			grpc.MaxCallRecvMsgSize(grpcwire.MaxMessage), grpc.MaxCallSendMsgSize(grpcwire.MaxMessage),
		),
		grpc.WithStaticStreamWindowSize(grpcwire.Window), grpc.WithStaticConnWindowSize(grpcwire.Window),
		grpc.WithWriteBufferSize(grpcBuffer), grpc.WithReadBufferSize(grpcBuffer),
		grpc.WithDisableRetry(), grpc.WithDisableServiceConfig(), grpc.WithDisableHealthCheck(),
		grpc.WithIdleTimeout(0), grpc.WithUserAgent("genie"), grpc.WithNoProxy(),
	)...)
	if err != nil {
		return nil, err
	}
	// The stream outlives ctx, which only bounds the dialling.
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, cancel)
	stream, err := cc.NewStream(streamCtx, grpcwire.StreamDesc(), grpcwire.Method)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		cancel()
		_ = cc.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, errors.New(status.Convert(err).Message())
	}
	return grpcwire.Watched(grpcwire.New(stream, func() error {
		cancel()
		return cc.Close()
	}), life), nil
}
