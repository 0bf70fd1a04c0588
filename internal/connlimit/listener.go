package connlimit

import (
	"fmt"
	"net"

	"github.com/genie-sdk/go/transport"
)

// Listener admits the connections of l (see [Table.Enter]). It closes those
// without room and reports them to refused.
func (t *Table) Listener(l net.Listener, timed bool, refused func(peer string, err error)) net.Listener {
	return &listener{Listener: l, t: t, timed: timed, refused: refused}
}

type listener struct {
	net.Listener
	t       *Table
	timed   bool
	refused func(peer string, err error)
}

// Accept takes the next connection that there is room for.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err //nolint:wrapcheck // the listener's own
		}
		peer := c.RemoteAddr().String()
		g, err := l.t.Enter(peer, func() { _ = c.Close() }, l.timed)
		if err == nil {
			return &guestConn{Conn: c, guest: g}, nil
		}
		l.refused(peer, err)
		_ = c.Close()
	}
}

type guestConn struct {
	net.Conn
	guest *Guest
	sent  int // bytes from the peer as a stranger
}

// Read reads. From a stranger it reads no more than authentication needs,
// because the layers above would buffer everything.
func (c *guestConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	limit := c.guest.t.o.Bytes
	if c.guest.welcomed.Load() {
		limit += c.guest.t.o.Rest
	}
	if c.guest.t.o.Bytes == 0 {
		return n, err //nolint:wrapcheck // the connection's own
	}
	if !c.guest.stranger.Load() {
		c.sent = 0
		return n, err //nolint:wrapcheck // the connection's own
	}
	if c.sent += n; c.sent > limit {
		_ = c.Close()
		return 0, fmt.Errorf("%w: %d bytes before hello", transport.ErrLimit, c.sent)
	}
	return n, err //nolint:wrapcheck // the connection's own
}

// Close closes the connection and makes room for another.
func (c *guestConn) Close() error {
	err := c.Conn.Close()
	c.guest.Gone()
	return err //nolint:wrapcheck // the connection's own
}

// CloseWrite ends writing.
func (c *guestConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // the connection's own
	}
	return nil
}

// RemoteAddr is an address that carries the connection's guest: a handler of a
// gRPC server sees only the address of a connection.
func (c *guestConn) RemoteAddr() net.Addr { return guestAddr{c.Conn.RemoteAddr(), c.guest} }

type guestAddr struct {
	net.Addr
	guest *Guest
}

// GuestOf is the guest of the connection with the given address, and the
// original address; nil for a connection that no [Table.Listener] admitted.
func GuestOf(a net.Addr) (*Guest, net.Addr) {
	if g, ok := a.(guestAddr); ok {
		return g.guest, g.Addr
	}
	return nil, a
}
