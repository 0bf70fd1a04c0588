package matrix

import (
	"context"
	"errors"
)

// ErrUnavailable is the cause of an Open that cannot succeed on this machine:
// something is not installed, does not fit, is not supported. The case is left
// out with the error's text as the reason. Any other error is a failure.
var ErrUnavailable = errors.New("genie: unavailable")

// Case is one configuration of one workload over one link.
type Case interface {
	// Name is its benchmark's,
	// BenchmarkLLMDecode_Full/workload=llm-decode/baseline=full/model=gpt2/batch=1/net=loopback,
	// every part but the first a key=value, and no GOMAXPROCS at the end.
	Name() string
	// Open starts what the case needs and verifies its output. An error that
	// wraps [ErrUnavailable] carries the reason. A case whose Open failed is not
	// closed.
	Open(ctx context.Context) error
	// Run measures once: the values by unit, as averages over so many
	// iterations.
	Run(ctx context.Context) (values map[string]float64, iterations int, err error)
	// Close ends all that Open started. A case may be opened again after it.
	Close() error
}

// Versioned is a case that knows, once it is open, the versions of what it runs
// and how it runs it. They are recorded as configuration, by key, once for each
// value that a key has.
type Versioned interface {
	Versions() map[string]string
}

// Bounded is a case of which a number of samples is enough, because it is slow
// or does not vary.
type Bounded interface {
	MaxSamples() int
}

// samples is how many samples of a case are wanted.
func samples(c Case, count int) int {
	if b, ok := c.(Bounded); ok {
		return min(count, max(b.MaxSamples(), 1))
	}
	return count
}

// Sized is a case that knows how much memory it needs at its peak, all of its
// processes together, in bytes. It is left out when there is less.
type Sized interface {
	MemoryBytes() int64
}
