package worker

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/genie-sdk/go/transport"
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

// limited is a listener that closes connections beyond a number at once: gRPC
// would take any number of them.
type limited struct {
	net.Listener
	free    chan struct{}
	refused func(peer net.Addr) // is told of each
}

func newLimited(l net.Listener, n int, refused func(peer net.Addr)) net.Listener {
	return &limited{Listener: l, free: make(chan struct{}, n), refused: refused}
}

// refused counts a connection that gRPC does not see.
func (s *Server) refused(peer net.Addr) {
	s.meter.ConnectionsRefused.Add(1)
	s.opts.Log.Warn("connection refused", "peer", peer.String(), "error", tooMany(s.opts.MaxConns))
}

func tooMany(n int) error { return fmt.Errorf("%w: %d connections", transport.ErrLimit, n) }

// Accept takes the next connection that there is room for.
func (l *limited) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.free <- struct{}{}:
			return &limitedConn{Conn: c, done: func() { <-l.free }}, nil
		default:
			l.refused(c.RemoteAddr())
			_ = c.Close()
		}
	}
}

type limitedConn struct {
	net.Conn
	once sync.Once
	done func()
}

// Close closes the connection and makes room for another.
func (c *limitedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.done)
	return err
}

// CloseWrite ends what this side sends.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
