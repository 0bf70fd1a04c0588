package worker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/grpcwire"
	"github.com/genie-sdk/go/transport/wire/tlswire"
)

// ServerTLS is a configuration for one protocol: version 1.3, and no session
// tickets, which would let a client return without a check of its certificate.
func ServerTLS(base *tls.Config, protocol string) *tls.Config {
	c := base.Clone()
	c.MinVersion = max(c.MinVersion, tls.VersionTLS13)
	c.NextProtos = []string{protocol}
	c.SessionTicketsDisabled = true
	if get := base.GetConfigForClient; get != nil {
		c.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			current, err := get(h)
			if err != nil || current == nil {
				return nil, err
			}
			current = current.Clone()
			current.GetConfigForClient = nil
			return ServerTLS(current, protocol), nil
		}
	}
	return c
}

// secured is a TCP connection as frames see it, and the TLS handshake before
// them, which the connection's own goroutine does.
func (s *Server) secured(nc net.Conn) (wire.Pipe, func(context.Context) (subject, error)) {
	if s.opts.TLS == nil {
		return wire.NewTCP(nc, &s.meter.Ledger), nil
	}
	tc := newSecureConn(nc, ServerTLS(s.opts.TLS, wire.ALPN), &s.meter.Ledger)
	return wire.NewTCP(tc, nil), func(ctx context.Context) (subject, error) {
		if err := tc.HandshakeContext(ctx); err != nil {
			lastWords(nc, err, true)
			return subject{}, fmt.Errorf("TLS: %w", err)
		}
		tc.counted.Handshaken()
		return subjectOf(tc.ConnectionState()), nil
	}
}

// secureConn is the worker's end of a connection with TLS. The ledger counts as
// a client's does: all bytes as the socket's, and the overhead of TLS as
// control.
type secureConn struct {
	*tls.Conn
	raw     net.Conn
	counted *tlswire.Conn

	read, written atomic.Int64 // data, without the overhead of TLS
}

func newSecureConn(raw net.Conn, config *tls.Config, ledger *transport.Ledger) *secureConn {
	counted := tlswire.Count(raw, ledger)
	return &secureConn{Conn: tls.Server(counted, config), raw: raw, counted: counted}
}

// Read implements [net.Conn].
func (c *secureConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if total := c.read.Add(int64(n)); err != nil {
		c.counted.ReadEnds(total)
	}
	return n, err //nolint:wrapcheck // the connection's own
}

// Write implements [net.Conn].
func (c *secureConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err //nolint:wrapcheck // the connection's own
}

// Close closes the connection. It waits only briefly for the close notice to be
// sent.
func (c *secureConn) Close() error {
	late := time.AfterFunc(goodbye, func() { _ = c.raw.Close() })
	defer late.Stop()
	err := c.Conn.Close()
	c.counted.WriteEnds(c.written.Load())
	return err //nolint:wrapcheck // the connection's own
}

// tlsAlert is an alert before keys are agreed on: fatal, handshake failure (RFC
// 8446, 6).
const tlsAlert = "\x15\x03\x03\x00\x02\x02\x28"

// lastWords tells a peer that does not speak TLS that this port does. It reads
// a little more, so that neither this nor an alert is lost to a reset.
func lastWords(nc net.Conn, err error, httpToo bool) {
	_ = nc.SetDeadline(time.Now().Add(goodbye))
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		answer := tlsAlert
		if foreign := (&wire.NotGenieError{Start: string(record.RecordHeader[:4])}); httpToo && foreign.HTTP() {
			answer = httpAnswer
		}
		_, _ = io.WriteString(nc, answer)
	}
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, nc, 1<<20)
}

// creds are TLS for gRPC, or none.
func (s *Server) creds() credentials.TransportCredentials {
	if s.opts.TLS == nil {
		return insecure.NewCredentials()
	}
	return grpcCreds{credentials.NewTLS(s.opts.TLS), ServerTLS(s.opts.TLS, "h2"), &s.meter.Ledger, s.holdPartial}
}

type grpcCreds struct {
	credentials.TransportCredentials
	config *tls.Config
	ledger *transport.Ledger
	hold   func(more int64) error
}

// underTLS counts the overhead of HTTP/2; the socket is counted below TLS.
type underTLS struct{ *transport.Ledger }

// AddSocket does nothing.
func (underTLS) AddSocket(int, int) {}

// ServerHandshake implements [credentials.TransportCredentials]. gRPC bounds its
// time.
func (g grpcCreds) ServerHandshake(nc net.Conn) (net.Conn, credentials.AuthInfo, error) {
	tc := newSecureConn(nc, g.config, g.ledger)
	if err := tc.Handshake(); err != nil { //nolint:noctx // gRPC gives none, and sets a deadline
		lastWords(nc, err, false)
		return nil, nil, fmt.Errorf("TLS: %w", err)
	}
	tc.counted.Handshaken()
	return grpcwire.CountServerConn(tc, underTLS{g.ledger}, g.hold), credentials.TLSInfo{
		State:          tc.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}
