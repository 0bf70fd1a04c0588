package worker

import (
	"crypto/tls"
	"errors"
	"syscall"
	"time"

	"github.com/genie-sdk/go/internal/connlimit"
	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
)

// acceptPause is how long the accept loop pauses when there are no descriptors
// left.
const acceptPause = 50 * time.Millisecond

// maxUngreeted bounds what a gRPC connection may send before one of its streams
// has sent its Hello: TLS with certificates, headers and a Hello. gRPC would
// buffer a window for each stream.
const maxUngreeted = 256 << 10

// temporary reports whether accepting can continue after err.
func temporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// pause waits and reports whether the server is still open.
func (s *Server) pause() bool {
	t := time.NewTimer(acceptPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.ctx.Done():
		return false
	}
}

// newDoor makes the table of a server's connections.
func newDoor(opts Options, ended <-chan struct{}, m *meter.Meter) *connlimit.Table {
	return connlimit.New(connlimit.Options{
		Max: opts.MaxConns, Time: opts.handshake, Bytes: maxUngreeted, Rest: grpcwire.Window, Ended: ended,
		Named: opts.Auth != nil || opts.TLS != nil && opts.TLS.ClientAuth >= tls.RequireAnyClientCert,
		Counted: func(strangers, evicted int) {
			m.Strangers.Add(int64(strangers))
			m.StrangersEvicted.Add(int64(evicted))
		},
		Crowded: func(n int) {
			opts.Log.Warn("connections whose peers did not say hello had to go for others", "connections", n)
		},
	})
}

// refused counts a connection that there is no room for.
func (s *Server) refused(peer string, err error) {
	s.meter.ConnectionsRefused.Add(1)
	s.opts.Log.Warn("connection refused", "peer", peer, "error", err)
}
