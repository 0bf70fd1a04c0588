// Package local is the executor in this process. It runs the same engine as a
// worker, without a wire: it sends nothing, and its ledger stays at zero.
//
//	ex, err := local.Open()
package local

import (
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/host"
	"github.com/genie-sdk/go/internal/inprocess"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/custom"
)

// Option configures [Open].
type Option interface{ apply(*engine.Options) }

type optionFunc func(*engine.Options)

func (f optionFunc) apply(o *engine.Options) { f(o) }

// WithThreads computes on n goroutines; the default is GOMAXPROCS.
func WithThreads(n int) Option { return optionFunc(func(o *engine.Options) { o.Threads = n }) }

// WithProfile measures the time inside kernels, see [transport.Stats].
func WithProfile() Option { return optionFunc(func(o *engine.Options) { o.Profile = true }) }

// WithInt8Weights stores the weights of matrix products in 8 bits: a quarter of
// the memory, and of the bytes that a decode step reads. Each element is
// rounded by at most 1/254 of the largest magnitude among those of one output;
// sums stay float32. Results then differ from those of other executors.
func WithInt8Weights() Option {
	return optionFunc(func(o *engine.Options) { o.Int8Weights = true })
}

// WithBranches runs two independent branches of a plan at the same time, each
// on one thread: for example, the two towers of a model with two kinds of
// input. Without it they run one after the other, each on all threads. The bits
// are the same.
func WithBranches() Option { return optionFunc(func(o *engine.Options) { o.Branches = true }) }

// WithMaxBatch runs up to n sequences of different sessions in a dynamic batch
// when they run one plan at the same time, so that one pass over the weights
// serves all of them. The default is 16; 1 disables batching. The bits are the
// same.
func WithMaxBatch(n int) Option { return optionFunc(func(o *engine.Options) { o.MaxBatch = n }) }

// WithMemLimit sets the memory budget of weights, state, retained values and
// scratch to n bytes. A request that does not fit is a [transport.MemoryError];
// weights that no session uses are evicted first.
func WithMemLimit(n int64) Option { return optionFunc(func(o *engine.Options) { o.MemLimit = n }) }

// WithOperators gives the executor operators of a user, which plans may then
// name. Without them a plan that does is [transport.ErrUnknownOperator].
func WithOperators(t *custom.Table) Option {
	return optionFunc(func(o *engine.Options) { o.Custom = t })
}

// Open starts a separate engine.
func Open(opts ...Option) (transport.Executor, error) {
	var o engine.Options
	for _, opt := range opts {
		opt.apply(&o)
	}
	e, err := host.Open(o)
	if err != nil {
		return nil, err
	}
	return inprocess.New(e), nil
}
