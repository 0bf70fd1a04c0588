// Package local is the executor in this process. It runs the same engine as a
// worker does, without a wire: nothing is sent and its ledger stays at zero.
//
//	ex, err := local.Open()
package local

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
)

// Option configures [Open].
type Option interface{ apply(*engine.Options) }

type optionFunc func(*engine.Options)

func (f optionFunc) apply(o *engine.Options) { f(o) }

// WithThreads computes on n goroutines; GOMAXPROCS without it.
func WithThreads(n int) Option { return optionFunc(func(o *engine.Options) { o.Threads = n }) }

// WithProfile measures the time inside kernels, see [transport.Stats].
func WithProfile() Option { return optionFunc(func(o *engine.Options) { o.Profile = true }) }

// WithInt8Weights holds the weights of matrix products in 8 bits, a quarter of
// the memory and of what a decode step reads. Each element is rounded by at most
// 1/254 of the largest magnitude among those that make one output; sums stay
// float32. Results are no longer those of other executors.
func WithInt8Weights() Option {
	return optionFunc(func(o *engine.Options) { o.Int8Weights = true })
}

// WithBranches runs two branches of a plan that read nothing of each other, such
// as the towers of a model with two kinds of input, at one time, each on a
// thread. Without it they run one after the other, each on all threads. The bits
// are the same.
func WithBranches() Option { return optionFunc(func(o *engine.Options) { o.Branches = true }) }

// WithMaxBatch runs up to n sequences of different sessions together when they
// run one plan at the same time, so that its weights are read once for all of
// them; 16 without it, and 1 for none. The bits are the same.
func WithMaxBatch(n int) Option { return optionFunc(func(o *engine.Options) { o.MaxBatch = n }) }

// WithMemLimit bounds the memory of weights, state, kept values and scratch
// together to n bytes. What does not fit is a [transport.MemoryError]; weights
// that no session uses go first.
func WithMemLimit(n int64) Option { return optionFunc(func(o *engine.Options) { o.MemLimit = n }) }

// Open starts an engine of its own.
func Open(opts ...Option) (transport.Executor, error) {
	var o engine.Options
	for _, opt := range opts {
		opt.apply(&o)
	}
	e, err := host.Open(o)
	if err != nil {
		return nil, err
	}
	return &executor{engine: e, sessions: map[*session]struct{}{}}, nil
}

type executor struct {
	engine *engine.Engine
	ledger transport.Ledger
	plans  int64

	mu       sync.Mutex
	closed   bool
	sessions map[*session]struct{} // open ones
}

// NewSession implements [transport.Executor].
func (x *executor) NewSession(ctx context.Context) (transport.Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("local session: %w", ctxError(ctx))
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, fmt.Errorf("%w: local executor", transport.ErrClosed)
	}
	s := newSession(x)
	x.sessions[s] = struct{}{}
	return s, nil
}

// Ledger implements [transport.Executor].
func (x *executor) Ledger() *transport.Ledger { return &x.ledger }

// Stats implements [transport.Executor].
func (x *executor) Stats(context.Context) (transport.Stats, error) {
	st := x.engine.Stats()
	x.mu.Lock()
	defer x.mu.Unlock()
	st.PlansSent = x.plans
	return st, nil
}

// Close implements [transport.Executor].
func (x *executor) Close() error {
	open, first := x.end()
	if !first {
		return nil
	}
	for _, s := range open {
		s.end()
	}
	return x.engine.Close()
}

// end lets no session be opened any more and gives those that are open; first is
// false when it has done so before.
func (x *executor) end() (open []*session, first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		return nil, false
	}
	x.closed = true
	for s := range x.sessions {
		open = append(open, s)
	}
	clear(x.sessions)
	return open, true
}

// forget takes a session that is closed from the executor's.
func (x *executor) forget(s *session) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.sessions, s)
}

// compiled counts a plan.
func (x *executor) compiled() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.plans++
}
