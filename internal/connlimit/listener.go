package connlimit

import (
	"fmt"
	"net"

	"github.com/genie-sdk/go/transport"
)

// Listener lets the connections of l in, see [Table.Enter], and closes those that
// there is no room for, which refused is told of.
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
	sent  int // by the peer, as a stranger
}

// Read reads, from a stranger no more than it needs to say who it is: what is
// above would hold whatever comes.
func (c *guestConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	limit := c.guest.t.o.Bytes
	if limit == 0 {
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

// CloseWrite ends what this side sends.
func (c *guestConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // the connection's own
	}
	return nil
}

// RemoteAddr is an address that knows the connection's guest: an address is all
// that a handler of a gRPC server gets to see of a connection.
func (c *guestConn) RemoteAddr() net.Addr { return guestAddr{c.Conn.RemoteAddr(), c.guest} }

type guestAddr struct {
	net.Addr
	guest *Guest
}

// GuestOf is the guest of the connection with an address, and the address that it
// had before; nil for one that no [Table.Listener] let in.
func GuestOf(a net.Addr) (*Guest, net.Addr) {
	if g, ok := a.(guestAddr); ok {
		return g.guest, g.Addr
	}
	return nil, a
}
