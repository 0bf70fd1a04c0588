package genie

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/genie-sdk/go/fleet"
	"github.com/genie-sdk/go/fleet/route"
	"github.com/genie-sdk/go/internal/measure"
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

	profile bool // runs are profiled

	retry bool // retry what an overloaded worker refused

	measured *measure.Policy // of a measurement; nil for none

	directory func(url string) (fleet.Directory, error) // nil for none
	class     route.Class
	routing   route.Policy // nil for the default
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

// inTurn reports whether requests wait for each other.
func (o *options) inTurn() bool { return o.measured != nil && o.measured.InTurn }

// resends reports whether a plan is sent again with every run.
func (o *options) resends() bool { return o.measured != nil && o.measured.Resend }

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
			o.measured, _ = p.(*measure.Policy)
		}
	})
}

// WithLogger sets the logger of the client. The default discards. At warn a session
// says once if operators without a kernel are predicted to take more than a tenth
// of a run, and which they are.
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

// WithProgress sets a function that is called with the number of bytes of
// weights in place whenever a run must first bring weights to the executor.
// Goroutines of the client call it, one at a time for each session. It must not
// block. The default reports nothing.
func WithProgress(p transport.Progress) Option {
	return optionFunc(func(o *options) { o.progress = p })
}

// WithDialer makes the connection to a worker, over TCP and gRPC alike, with
// dial, which gets a host and a port: a shaped link (transport/link), a tunnel. Any
// goroutine may call it.
// The default is a [net.Dialer]. It does nothing for a local executor.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) Option {
	return optionFunc(func(o *options) { o.dial = dial })
}

// WithProfile makes the executor measure each group of steps of every run: its
// kernel, time and bytes. [Client.Stats] returns the sums by plan, in
// transport.Stats.Profiles, for the sessions that are open: from an executor in
// this process and from a worker alike. Runs become a little slower. What a policy
// leaves to the client partition is not measured. The default measures nothing.
func WithProfile() Option { return optionFunc(func(o *options) { o.profile = true }) }

// WithRetryOverloaded retries a request that a worker refused because it was
// overloaded, after the delay that the worker suggests, until the request's
// context ends or would end before the next attempt. By default the caller gets
// [ErrOverloaded]. It has no effect on a local executor.
func WithRetryOverloaded() Option { return optionFunc(func(o *options) { o.retry = true }) }
