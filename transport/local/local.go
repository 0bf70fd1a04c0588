// Package local is the executor in this process. It runs the same engine as a
// worker does, without a wire: nothing is sent and its ledger stays at zero.
//
//	ex, err := local.Open()
package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
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
	return &executor{engine: e}, nil
}

type executor struct {
	engine *engine.Engine
	ledger transport.Ledger
	plans  int64
	mu     sync.Mutex
	closed bool
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
	s := &session{x: x, es: x.engine.NewSession(), turn: make(chan struct{}, 1)}
	s.turn <- struct{}{}
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
	x.mu.Lock()
	closed := x.closed
	x.closed = true
	x.mu.Unlock()
	if closed {
		return nil
	}
	return x.engine.Close()
}

// session implements [transport.Session].
type session struct {
	x    *executor
	es   *engine.Session
	turn chan struct{} // one token: who has it uses the engine's session

	unknown bool // with the turn: a loop that ended early left state that nobody knows

	mu     sync.Mutex
	closed bool
}

// planRef implements [transport.PlanRef].
type planRef struct {
	session *session
	program *engine.Program
}

// Hash implements [transport.PlanRef].
func (r *planRef) Hash() plan.Hash { return r.program.Hash() }

// enter waits for the session's turn.
func (s *session) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("local session: %w", ctxError(ctx))
	}
	select {
	case <-s.turn:
	case <-ctx.Done():
		return fmt.Errorf("local session: %w", ctxError(ctx))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.leave()
		return fmt.Errorf("%w: local session", transport.ErrClosed)
	}
	return nil
}

func (s *session) leave() { s.turn <- struct{}{} }

// ctxError is both what ended ctx and why.
func ctxError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(cause, err) {
		return cause
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// Read implements [transport.Session].
func (s *session) Read(ctx context.Context, h transport.Handle) (transport.Tensor, error) {
	if err := s.enter(ctx); err != nil {
		return transport.Tensor{}, err
	}
	defer s.leave()
	t, err := s.es.Read(h)
	t.Shape, t.Data = slices.Clone(t.Shape), slices.Clone(t.Data)
	return t, err
}

// Release implements [transport.Session].
func (s *session) Release(ctx context.Context, h ...transport.Handle) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.es.Release(h...)
	return nil
}

// Reset implements [transport.Session].
func (s *session) Reset(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	s.es.Reset()
	s.unknown = false
	return nil
}

// Close implements [transport.Session]. It waits for the call that is running.
func (s *session) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if !closed {
		s.es.Close()
	}
	return nil
}
