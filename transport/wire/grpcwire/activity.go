package grpcwire

import (
	"net"

	"github.com/genie-sdk/go/transport/wire"
)

// WatchConn counts the bytes that a connection reads in life. gRPC hands over a
// message when it is complete, which may take long on a slow link.
func WatchConn(c net.Conn, life *wire.Activity) net.Conn { return &watchedConn{c, life} }

type watchedConn struct {
	net.Conn
	life *wire.Activity
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.life.Touch(n)
	return n, err
}

// RemoteAddr is an address that carries the connection's life: a handler of a
// gRPC server sees only the address of a connection.
func (c *watchedConn) RemoteAddr() net.Addr { return watchedAddr{c.Conn.RemoteAddr(), c.life} }

type watchedAddr struct {
	net.Addr
	life *wire.Activity
}

// WatchListener watches each connection of l.
func WatchListener(l net.Listener) net.Listener { return watchedListener{l} }

type watchedListener struct{ net.Listener }

func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return WatchConn(c, &wire.Activity{}), nil
}

// LifeOf is the life of the connection with an address; nil when it is not
// watched.
func LifeOf(a net.Addr) *wire.Activity {
	w, ok := a.(watchedAddr)
	if !ok {
		return nil
	}
	return w.life
}

// Watched makes p report when bytes arrive; life may be nil.
func Watched(p wire.Pipe, life *wire.Activity) wire.Pipe {
	if life == nil {
		return p
	}
	return watchedPipe{p, life}
}

type watchedPipe struct {
	wire.Pipe
	life *wire.Activity
}

// Activity implements [wire.Lively].
func (p watchedPipe) Activity() uint64 { return p.life.Count() }
