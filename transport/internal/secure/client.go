package secure

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/wire/tlswire"
)

// Client secures the connections of one executor. A nil Client leaves them as
// they are.
type Client struct {
	given credentials.Client
	tls   func() *tls.Config // nil: no TLS
}

// New loads what c names.
func New(c credentials.Client) (*Client, error) {
	s := &Client{given: c}
	switch {
	case c.TLS != nil && c.Files != nil:
		return nil, errors.New("genie: a TLS configuration and TLS files are given, one has to go")
	case c.TLS != nil:
		s.tls = c.TLS.Clone
	case c.Files != nil:
		load, err := c.Files.Client()
		if err != nil {
			return nil, err
		}
		s.tls = load
	}
	if _, err := c.Secret(); err != nil {
		return nil, err
	}
	return s, nil
}

// TLS reports whether connections get TLS.
func (s *Client) TLS() bool { return s != nil && s.tls != nil }

// Token is the token to send over a connection to the given address.
func (s *Client) Token(remote net.Addr) (string, error) {
	if s == nil {
		return "", nil
	}
	token, err := s.given.Secret()
	if err != nil || token == "" {
		return "", err
	}
	if !s.TLS() && !s.given.Insecure && !sameMachine(remote) {
		return "", fmt.Errorf("%w: a token is not sent over the network without TLS", transport.ErrUnauthenticated)
	}
	return token, nil
}

// sameMachine reports whether data sent to the address stays on this machine.
// The address may wrap another one.
func sameMachine(a net.Addr) bool {
	if a == nil {
		return false
	}
	if _, unix := a.(*net.UnixAddr); unix || a.Network() == "unix" {
		return true
	}
	at, err := netip.ParseAddrPort(a.String())
	return err == nil && at.Addr().Unmap().IsLoopback()
}

// Handshake negotiates TLS and the protocol over conn, which was dialled to
// addr, a host and a port. count counts the bytes: all of them as the socket's,
// and the overhead of TLS as control. An error wraps a cause of package
// transport, and conn is then closed.
func (s *Client) Handshake(ctx context.Context, conn net.Conn, addr, protocol string, count tlswire.Counter) (*Conn, error) {
	config := s.tls()
	config.MinVersion = max(config.MinVersion, tls.VersionTLS13)
	config.NextProtos = []string{protocol}
	if config.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			host = addr
		}
		config.ServerName = host
	}
	raw := tlswire.Count(conn, count)
	tc := tls.Client(raw, config)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, handshakeError(err)
	}
	raw.Handshaken()
	return &Conn{Conn: tc, raw: raw, shown: len(config.Certificates) > 0 || config.GetClientCertificate != nil}, nil
}

// Conn is a connection with TLS. It turns an alert of the worker, such as one
// about a certificate, into an error of package transport.
type Conn struct {
	*tls.Conn
	raw   *tlswire.Conn
	shown bool // this client has a certificate

	read, written atomic.Int64 // data, without the overhead of TLS
	reading       sync.Mutex
	refused       errorBox
}

// Read reads and translates alerts.
func (c *Conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	return c.readLocked(b)
}

func (c *Conn) readLocked(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	total := c.read.Add(int64(n))
	if err == nil {
		return n, nil
	}
	c.raw.ReadEnds(total)
	if alert := alertError(err, c.shown); alert != nil {
		c.refused.set(alert)
		return n, alert
	}
	return n, err
}

// lastWords is how long a failed write waits for the reason.
const lastWords = 500 * time.Millisecond

// Write writes. TLS 1.3 lets a client write before the worker has checked its
// certificate; when a write fails, the worker's reason may be available to
// read.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	if err == nil {
		return n, nil
	}
	if c.refused.get() == nil && c.reading.TryLock() {
		_ = c.SetReadDeadline(time.Now().Add(lastWords))
		var one [1]byte
		_, _ = c.readLocked(one[:])
		c.reading.Unlock()
	}
	if why := c.refused.get(); why != nil {
		err = why
	}
	return n, err
}

// Close closes the connection, with a notice to the worker.
func (c *Conn) Close() error {
	err := c.Conn.Close()
	c.raw.WriteEnds(c.written.Load())
	return err
}

// Refused is why the worker refused the connection; nil if it did not.
func (c *Conn) Refused() error { return c.refused.get() }
