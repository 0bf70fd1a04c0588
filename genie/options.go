package genie

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
)

type options struct {
	policy   semantic.Policy
	logger   *slog.Logger
	threads  int
	hints    []semantic.Hint
	progress transport.Progress
	dial     func(ctx context.Context, addr string) (net.Conn, error)
	given    credentials.Client
	tracer   transport.Tracer

	recovery  bool
	reconnect time.Duration
	silence   time.Duration

	oneByOne bool // disables pipelining of requests
	retry    bool // retry what an overloaded worker refused
}

func defaults(opts []Option) options {
	o := options{
		policy: semantic.Full(), logger: slog.New(slog.DiscardHandler), recovery: true, reconnect: defaultReconnect,
	}
	for _, f := range opts {
		f.apply(&o)
	}
	return o
}

// Option configures [Open] and [NewClient].
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithPolicy selects what runs where and what stays on the executor. The
// default is semantic.Full(). The policy changes what moves, never a result.
func WithPolicy(p semantic.Policy) Option {
	return optionFunc(func(o *options) {
		if p != nil {
			o.policy = p
		}
	})
}

// WithLogger sets the logger of the client. The default discards.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) {
		if l != nil {
			o.logger = l
		}
	})
}

// WithThreads sets the number of compute goroutines of a local executor. The
// default is GOMAXPROCS. It has no effect on a remote one.
func WithThreads(n int) Option { return optionFunc(func(o *options) { o.threads = n }) }

// WithHints overrides what the semantic pass recognises.
func WithHints(h ...semantic.Hint) Option {
	return optionFunc(func(o *options) { o.hints = append(o.hints, h...) })
}

// WithProgress reports the bytes of weights in place whenever a run has to
// bring weights to the executor first. The default reports nothing.
func WithProgress(p transport.Progress) Option {
	return optionFunc(func(o *options) { o.progress = p })
}

// WithDialer opens the connections to a worker, over TCP and gRPC, with dial,
// which gets a host and a port: for example a shaped link (transport/link) or a
// tunnel. The default is a [net.Dialer]. It has no effect on a local executor.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithPipelining says whether [Generate] sends prefill and loop in one request
// and prepares both plans at once, so that a generation costs one round trip.
// The default is true. With false the loop is sent after the prefill has
// returned, which exists to measure the difference. The tokens are the same.
func WithPipelining(on bool) Option {
	return optionFunc(func(o *options) { o.oneByOne = !on })
}

// WithRetryOverloaded retries a request that a worker refused because it was
// overloaded, after the delay that the worker suggests, until the request's
// context ends or would end before the next attempt. By default the caller gets
// [ErrOverloaded]. It has no effect on a local executor.
func WithRetryOverloaded() Option { return optionFunc(func(o *options) { o.retry = true }) }
