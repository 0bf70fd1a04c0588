package worker_test

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/tcp"
)

// deafConn stops accepting writes, and does not report that to its reader until
// the test lets it.
type deafConn struct {
	net.Conn
	broken atomic.Bool
	tell   chan struct{}
}

func (c *deafConn) Write(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		<-c.tell
	}
	return n, err
}

// TestBrokenWhileCancelling breaks the connection under a Cancel, whose error
// is not seen, and calls again before the receiving goroutine has noticed: the
// worker is unreachable, the executor has not been closed.
func TestBrokenWhileCancelling(t *testing.T) {
	began := make(chan struct{}, 1)
	w := hook(t, func(ctx context.Context) error {
		began <- struct{}{}
		<-ctx.Done()
		return context.Cause(ctx)
	})
	var conn *deafConn
	ex, err := dialDeaf(t, w, &conn)
	require.NoError(t, err)
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	p, weights := counter()
	ref, err := s.Prepare(t.Context(), p, weights, nil)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(0, 0)}}})
		failed <- err
	}()
	<-began
	conn.broken.Store(true)
	cancel()
	require.ErrorIs(t, <-failed, context.Canceled)
	_, err = ex.Stats(t.Context())
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.NotErrorIs(t, err, transport.ErrClosed)
	require.ErrorContains(t, err, w.TCP)
	close(conn.tell)
	require.NoError(t, ex.Close())
}

func dialDeaf(t *testing.T, w *workertest.Worker, to **deafConn) (transport.Executor, error) {
	return tcp.Dial(t.Context(), w.TCP, tcp.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		*to = &deafConn{Conn: nc, tell: make(chan struct{})}
		return *to, err
	}))
}
