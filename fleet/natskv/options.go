package natskv

import (
	"log/slog"
	"time"

	"github.com/genie-sdk/go/transport/credentials"
)

// DefaultBucket is the bucket of a fleet.
const DefaultBucket = "genie-fleet"

type options struct {
	bucket      string
	credentials credentials.Client
	creds       string
	replicas    int
	memory      int64
	log         *slog.Logger
	timeout     time.Duration
}

// Option configures [Open].
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

// WithBucket names the bucket, one for each fleet; the default is [DefaultBucket].
func WithBucket(name string) Option { return optionFunc(func(o *options) { o.bucket = name }) }

// WithCredentials sets TLS and token. A scheme of tls:// asks for TLS without any. A
// token is not sent over a network without TLS unless the credentials say so.
func WithCredentials(c credentials.Client) Option {
	return optionFunc(func(o *options) { o.credentials = c })
}

// WithUserCredentials names a NATS credentials file (a JWT and its key), for a server
// with decentralised authentication.
func WithUserCredentials(file string) Option { return optionFunc(func(o *options) { o.creds = file }) }

// WithReplicas is on how many servers of a cluster the bucket is held, if this call
// makes it; the default is 1.
func WithReplicas(n int) Option { return optionFunc(func(o *options) { o.replicas = n }) }

// WithMaxBytes bounds the bucket, if this call makes it; the default is 64 MiB.
func WithMaxBytes(n int64) Option { return optionFunc(func(o *options) { o.memory = n }) }

// WithLogger sets the logger; the default discards.
func WithLogger(l *slog.Logger) Option {
	return optionFunc(func(o *options) {
		if l != nil {
			o.log = l
		}
	})
}
