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
	// Cache stores uploaded weights on disk; nil for none. The server does not
	// close it.
	Cache *weightcache.Cache
	// PartialBytes bounds the memory of weights whose upload was interrupted; 1
	// GiB when 0. PartialTime is how long each is retained; 2 minutes when 0.
	PartialBytes int64
	PartialTime  time.Duration
	// Tracer makes a span for each request, a child of its client's; nil for
	// none. A tracer with ServerHandler() stats.Handler also traces gRPC
	// connections.
	Tracer transport.Tracer
	// Log is the logger; nil discards.
	Log *slog.Logger
	// MaxMessage bounds the payload of one message; [wire.MaxMessagePayload]
	// when 0.
	MaxMessage uint64
	// MaxStaging bounds the memory of the waiting inputs of all calls; twice
	// MaxMessage when 0.
	MaxStaging uint64
	// Lease is how long a session outlives its client, counted from the
	// client's last byte; 30 s when 0. Sessions are held for a lost connection
	// only if the client asked for it.
	Lease time.Duration
	// Silence is how long a client may be silent before its connection is given
	// up; [wire.Silence] when 0.
	Silence time.Duration
	// Patience is how long a message in several frames may bring less than 64
	// KiB; 30 s when 0.
	Patience time.Duration
	// MaxConns bounds the connections; 1024 when 0.
	MaxConns int
	// TLS encrypts connections; nil for none. A configuration that requires
	// certificates identifies the clients, see [Options.Auth].
	TLS *tls.Config
	// Auth knows the tokens that clients must present; nil when they need none.
	// A client's identity comes from Auth, else it is the subject of its
	// certificate, else [Anonymous].
	Auth Authenticator
	// Quota is the quota of an identity; nil for no limits.
	Quota func(identity string) Quota
	// MaxQueue bounds the waiting runs of all sessions; [DefaultMaxQueue] when
	// 0.
	MaxQueue int
	// MaxRunning bounds the concurrent runs; GOMAXPROCS when 0. The best value
	// is the number of the engine's threads.
	MaxRunning int

	// Peers deliver values to other workers; nil for none, and then sessions of this
	// worker only receive.
	Peers Peers
	// Advertise is where other workers dial this one, such as
	// "tcp://10.0.0.7:7070"; where the client did when empty.
	Advertise string

	handshake time.Duration // time to authenticate; [wire.HandshakeTimeout] when 0
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

// queueLen bounds the waiting requests of one session.
const queueLen = 256
