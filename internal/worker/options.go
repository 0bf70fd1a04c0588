package worker

import (
	"log/slog"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Options configure a [Server].
type Options struct {
	// Engine does the work. The server does not close it.
	Engine Engine
	// Weights is the model folder; nil for none.
	Weights WeightFinder
	// Tracer makes a span of each request, a child of its client's; nil for none.
	// One that has ServerHandler() stats.Handler follows gRPC connections too.
	Tracer transport.Tracer
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
	return o
}

// queueLen bounds the requests of one session that wait their turn.
const queueLen = 256
