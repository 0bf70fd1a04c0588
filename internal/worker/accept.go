package worker

import (
	"crypto/tls"
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/genie-sdk/go/internal/connlimit"
	"github.com/genie-sdk/go/internal/worker/meter"
)

// acceptPause is how long accepting rests when descriptors run out.
const acceptPause = 50 * time.Millisecond

// temporary reports whether accepting can go on after err.
func temporary(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ECONNABORTED) || errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// pause waits a moment and reports whether the server is still open.
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
		Max: opts.MaxConns, Time: opts.handshake, Ended: ended,
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

// guestListener lets connections in before gRPC sees them, which would take any
// number of them and give each any time.
type guestListener struct {
	net.Listener
	s *Server
}

// Accept takes the next connection that there is room for.
func (l *guestListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g, err := l.s.door.Enter(c.RemoteAddr().String(), func() { _ = c.Close() }, true)
		if err == nil {
			return &guestConn{Conn: c, guest: g}, nil
		}
		l.s.refused(c.RemoteAddr().String(), err)
		_ = c.Close()
	}
}

type guestConn struct {
	net.Conn
	guest *connlimit.Guest
}

// Close closes the connection and makes room for another.
func (c *guestConn) Close() error {
	err := c.Conn.Close()
	c.guest.Gone()
	return err
}

// CloseWrite ends what this side sends.
func (c *guestConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// RemoteAddr is an address that knows the connection's guest: an address is all
// that a handler of a gRPC server gets to see of a connection.
func (c *guestConn) RemoteAddr() net.Addr { return guestAddr{c.Conn.RemoteAddr(), c.guest} }

type guestAddr struct {
	net.Addr
	guest *connlimit.Guest
}
