package genie

import (
	"crypto/tls"

	"github.com/genie-sdk/go/transport/credentials"
)

// WithTLS encrypts the connection to a worker, over TCP and gRPC, with TLS 1.3
// and the given configuration: its authorities, and its certificate if the
// worker requires one. The default server name is the host that is dialled.
// Without it, and without [WithTLSFiles], connections are not encrypted. It has
// no effect on a local executor.
func WithTLS(c *tls.Config) Option { return optionFunc(func(o *options) { o.given.TLS = c }) }

// WithTLSFiles is [WithTLS] from PEM files, which are read again when they
// change. Without a CA file the system's authorities apply.
func WithTLSFiles(f credentials.Files) Option {
	return optionFunc(func(o *options) { o.given.Files = &f })
}

// WithToken identifies the client to a worker that requires tokens. The default
// is no token. It has no effect on a local executor.
func WithToken(token string) Option { return optionFunc(func(o *options) { o.given.Token = token }) }

// WithTokenFile is [WithToken] with the token in a file, which is read for each
// connection.
func WithTokenFile(path string) Option {
	return optionFunc(func(o *options) { o.given.TokenFile = path })
}

// WithInsecureToken permits a token over the network without TLS, where an
// eavesdropper can read and use it. By default that is an error that wraps
// [ErrUnauthenticated].
func WithInsecureToken() Option { return optionFunc(func(o *options) { o.given.Insecure = true }) }
