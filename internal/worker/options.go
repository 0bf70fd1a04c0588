package worker

import (
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

// Options configure a [Server].
type Options struct {
	// Engine does the work. The server does not close it.
	Engine Engine
	// Weights is the model folder; nil for none.
	Weights WeightFinder
	// Cache keeps uploaded weights on disk; nil for none. The server does not
	// close it.
	Cache *weightcache.Cache
	// PartialBytes bounds the memory of weights whose upload was cut short;
	// 1 GiB when 0. PartialTime is how long each is kept; 2 minutes when 0.
	PartialBytes int64
	PartialTime  time.Duration
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
	// Lease is how long a session outlives its client, counted from when that was
	// last heard; 30 s when 0. Only a client that asks for it has its sessions
	// held when a connection is lost.
	Lease time.Duration
	// Silence is how long a client may be silent before its connection is given
	// up; [wire.Silence] when 0.
	Silence time.Duration
	// Patience is how long a message that comes in several frames may bring less
	// than 64 KiB; 30 s when 0.
	Patience time.Duration
	// MaxConns bounds the connections; 1024 when 0.
	MaxConns int
	// TLS encrypts connections; nil for none. One that asks for certificates
	// says who the clients are, see [Options.Auth].
	TLS *tls.Config
	// Auth knows the tokens that clients have to show; nil when they need none.
	// A client's identity is what Auth says, else the subject of its
	// certificate, else [Anonymous].
	Auth Authenticator
	// Quota is what an identity may have at one time; nil for no bounds.
	Quota func(identity string) Quota
	// MaxQueue bounds the runs of all sessions that wait for their turn;
	// [DefaultMaxQueue] when 0.
	MaxQueue int
	// MaxRunning bounds the runs that go at once; GOMAXPROCS when 0. It is best
	// as many as the engine has threads.
	MaxRunning int

	handshake time.Duration // time to say who one is; [wire.HandshakeTimeout] when 0
	claimIdle time.Duration // see claims; for tests
	brief     time.Duration // see briefRun; for tests
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
	if o.PartialBytes == 0 {
		o.PartialBytes = 1 << 30
	}
	if o.PartialTime == 0 {
		o.PartialTime = 2 * time.Minute
	}
	if o.Lease == 0 {
		o.Lease = 30 * time.Second
	}
	if o.Silence == 0 {
		o.Silence = wire.Silence
	}
	if o.Patience == 0 {
		o.Patience = 30 * time.Second
	}
	if o.handshake == 0 {
		o.handshake = wire.HandshakeTimeout
	}
	if o.MaxConns == 0 {
		o.MaxConns = 1024
	}
	if o.claimIdle == 0 {
		o.claimIdle = claimIdle
	}
	if o.brief == 0 {
		o.brief = briefRun
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
