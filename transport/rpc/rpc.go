// Package rpc is the executor whose work a worker does over gRPC: one
// bidirectional stream of service genie.v1.Genie on one HTTP/2 connection.
//
//	ex, err := rpc.Dial(ctx, "worker.example:7071")
//
// The package contains the client only; `genie worker` is the server. There is
// no fallback: a worker that cannot be reached is an error.
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

// WithTracer sends the span of a call's context with the call, so that the
// worker's spans become its children. Without it, or with nil, no span is sent.
// A tracer that is a [ConnTracer] also traces the connection.
func WithTracer(t transport.Tracer) Option { return optionFunc(func(o *options) { o.tracer = t }) }

// ConnTracer is a tracer that also traces gRPC itself. All calls of a
// connection are messages of one gRPC stream, which has one span.
type ConnTracer interface {
	ClientHandler() stats.Handler
}

// dialOptions are the options that the tracer needs.
func (o *options) dialOptions() []grpc.DialOption {
	if t, ok := o.tracer.(ConnTracer); ok {
		return []grpc.DialOption{grpc.WithStatsHandler(t.ClientHandler())}
	}
	return nil
}

const grpcBuffer = 256 << 10

// WithCredentials sets TLS for the connection and the client's token. The
// default is neither.
func WithCredentials(c credentials.Client) Option {
	return optionFunc(func(o *options) { o.given = c })
}

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
	url := "grpc://" + addr
	guard, err := secure.New(o.given)
	if err != nil {
		return nil, err
	}
	cfg := remote.Config{Addr: url, Ledger: o.ledger, Log: o.log, MaxMessage: o.maxMessage, Silence: o.silence, RetryOverloaded: o.overload, Tracer: o.tracer}
	x, err := remote.Dial(ctx, cfg, o.retry, func(ctx context.Context) (*remote.Client, error) {
		creds := newCreds(guard, addr, cfg.Ledger) // repeated for each connection: files and token may have changed
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

// errRedial ends gRPC's own attempts to reconnect: a new connection begins with
// a handshake and has to rejoin its sessions.
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
	// The stream outlives ctx, which bounds only the dialling.
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
