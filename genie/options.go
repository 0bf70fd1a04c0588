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

	oneByOne bool // requests are not pipelined
	retry    bool // what an overloaded worker did not take
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

// WithPolicy chooses what runs where and what stays. The default is
// semantic.Full(). The choice changes what travels, never a result.
func WithPolicy(p semantic.Policy) Option {
	return optionFunc(func(o *options) {
		if p != nil {
			o.policy = p
		}
	})
}

// WithLogger gets the client's log records. The default discards them.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) {
		if l != nil {
			o.logger = l
		}
	})
}

// WithThreads sets the number of computing goroutines of a local executor. The
// default is GOMAXPROCS. It does nothing for a remote one.
func WithThreads(n int) Option { return optionFunc(func(o *options) { o.threads = n }) }

// WithHints overrides what the semantic pass recognises.
func WithHints(h ...semantic.Hint) Option {
	return optionFunc(func(o *options) { o.hints = append(o.hints, h...) })
}

// WithProgress is told how many bytes of weights are in place whenever a run
// has to bring weights to the executor first. The default tells nobody.
func WithProgress(p transport.Progress) Option {
	return optionFunc(func(o *options) { o.progress = p })
}

// WithDialer makes the connection to a worker, over TCP and gRPC alike, with
// dial, which gets a host and a port: a shaped link (transport/link), a tunnel.
// The default is a [net.Dialer]. It does nothing for a local executor.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithPipelining says whether [Generate] sends prefill and loop in one request,
// and asks for both plans at once, so that a text costs one round trip. The
// default is true; false waits for the prefill before the loop is sent, which
// exists to measure the difference. Texts are the same.
func WithPipelining(on bool) Option {
	return optionFunc(func(o *options) { o.oneByOne = !on })
}

// WithRetryOverloaded makes a request again that a worker did not take because it
// was overloaded, after the time that the worker hints at, until the request's
// context ends or would end before the next attempt. By default the caller gets
// [ErrOverloaded]. It does nothing for a local executor.
func WithRetryOverloaded() Option { return optionFunc(func(o *options) { o.retry = true }) }
