package matrix

import (
	"context"
	"errors"
)

// ErrUnavailable is the cause of an Open that cannot succeed on this machine:
// something is not installed, does not fit, or is not supported. The case is
// omitted with the error's text as the reason. Any other error is a failure.
var ErrUnavailable = errors.New("genie: unavailable")

// Case is one configuration of one workload over one link.
type Case interface {
	// Name is its benchmark's,
	// BenchmarkLLMDecode_Full/workload=llm-decode/baseline=full/model=gpt2/batch=1/net=loopback,
	// with every part but the first a key=value, and no GOMAXPROCS at the end.
	Name() string
	// Open starts the processes of the case and verifies its output. An error
	// that wraps [ErrUnavailable] carries the reason. A case whose Open failed
	// is not closed.
	Open(ctx context.Context) error
	// Run measures once: the values by unit, as averages over the returned
	// number of iterations.
	Run(ctx context.Context) (values map[string]float64, iterations int, err error)
	// Close ends everything that Open started. A case may be opened again
	// afterwards.
	Close() error
}

// Versioned is a case that knows, once it is open, the versions and settings of
// what it runs. They are recorded as configuration, by key, once for each value
// of a key.
type Versioned interface {
	Versions() map[string]string
}

// Bounded is a case for which a limited number of samples suffices, because it
// is slow or does not vary.
type Bounded interface {
	MaxSamples() int
}

// samples is the wanted number of samples of a case.
func samples(c Case, count int) int {
	if b, ok := c.(Bounded); ok {
		return min(count, max(b.MaxSamples(), 1))
	}
	return count
}

// Sized is a case that knows its peak memory, all of its processes together, in
// bytes. It is omitted when less is available.
type Sized interface {
	MemoryBytes() int64
}
