package worker

import (
	"log/slog"

	"github.com/genie-sdk/go/transport/wire"
)

// Options configure a [Server].
type Options struct {
	// Engine does the work. The server does not close it.
	Engine Engine
	// Weights is the model folder; nil for none.
	Weights WeightFinder
	// Log is discarded when nil.
	Log *slog.Logger
	// MaxMessage bounds the payload of one message; [wire.MaxMessagePayload]
	// when 0.
	MaxMessage uint64
	// MaxStaging bounds the memory that the inputs of all calls wait in;
	// twice MaxMessage when 0.
	MaxStaging uint64
	// MaxConns bounds the connections; 1024 when 0.
	MaxConns int
	// MaxQueue bounds the runs of all sessions that wait for their turn;
	// [DefaultMaxQueue] when 0.
	MaxQueue int
	// MaxRunning bounds the runs that go at once; GOMAXPROCS when 0.
	MaxRunning int
}

func (o Options) withDefaults() Options {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.MaxMessage == 0 {
		o.MaxMessage = wire.MaxMessagePayload
	}
	if o.MaxStaging == 0 {
		o.MaxStaging = 2 * o.MaxMessage
	}
	if o.MaxConns == 0 {
		o.MaxConns = 1024
	}
	if o.MaxQueue <= 0 {
		o.MaxQueue = DefaultMaxQueue
	}
	if o.MaxRunning <= 0 {
		o.MaxRunning = defaultRunning()
	}
	return o
}

// queueLen bounds the requests of one session that wait their turn.
const queueLen = 256
