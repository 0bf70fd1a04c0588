package worker_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
)

// cutConn ends after a number of bytes written or read; a negative number means
// never.
type cutConn struct {
	net.Conn
	writes, reads       atomic.Int64
	cutWrites, cutReads int64
}

func (c *cutConn) Write(b []byte) (int, error) {
	at := c.writes.Load()
	if c.cutWrites >= 0 && at+int64(len(b)) > c.cutWrites {
		n, _ := c.Conn.Write(b[:c.cutWrites-at])
		c.writes.Add(int64(n))
		_ = c.Close()
		return n, io.ErrClosedPipe
	}
	n, err := c.Conn.Write(b)
	c.writes.Add(int64(n))
	return n, err
}

func (c *cutConn) Read(b []byte) (int, error) {
	if c.cutReads >= 0 {
		left := c.cutReads - c.reads.Load()
		if left == 0 {
			_ = c.Close()
			return 0, io.EOF
		}
		b = b[:min(int64(len(b)), left)]
	}
	n, err := c.Conn.Read(b)
	c.reads.Add(int64(n))
	return n, err
}

// exchange is one of everything; it returns the first error.
func exchange(ctx context.Context, ex transport.Executor) error {
	s, err := ex.NewSession(ctx)
	if err != nil {
		return err
	}
	p, weights := counter()
	ref, err := s.Prepare(ctx, p, weights, nil)
	if err != nil {
		return err
	}
	res, err := s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Data: floats(1, 1)}}})
	if err != nil {
		return err
	}
	h := res.Outputs[1].Handle
	if _, err := s.Read(ctx, h); err != nil {
		return err
	}
	_, err = s.Run(ctx, transport.Call{Plan: ref, Inputs: []transport.Input{{Handle: h}}})
	if err != nil {
		return err
	}
	if err := s.Release(ctx, h); err != nil {
		return err
	}
	if err := s.Reset(ctx); err != nil {
		return err
	}
	_, err = ex.Stats(ctx)
	return errors.Join(err, s.Close())
}

// TestCutAnywhere cuts an exchange after every number of bytes, in both
// directions, the worker being a fresh one for the first cut so that plan and
// weights travel too.
func TestCutAnywhere(t *testing.T) {
	for name, dial := range dialers {
		for _, direction := range []string{"sent", "received"} {
			t.Run(name+"/"+direction, func(t *testing.T) { cutAnywhere(t, dial, direction == "sent") })
		}
	}
}

func cutAnywhere(t *testing.T, dial func(context.Context, *workertest.Worker, dialConn) (transport.Executor, error), sent bool) {
	try := func(w *workertest.Worker, cutWrites, cutReads int64) (*cutConn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var c *cutConn
		ex, err := dial(ctx, w, func(ctx context.Context, addr string) (net.Conn, error) {
			nc, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			c = &cutConn{Conn: nc, cutWrites: cutWrites, cutReads: cutReads}
			return c, err
		})
		if err != nil {
			return c, err
		}
		err = exchange(ctx, ex)
		require.NoError(t, ex.Close())
		return c, err
	}
	// Once with a worker that has plan and weight, once with one that does not.
	w := workertest.Start(t, nil)
	size := func() int64 {
		whole, err := try(w, -1, -1)
		require.NoError(t, err)
		if sent {
			return whole.writes.Load()
		}
		return whole.reads.Load()
	}
	cold, warm := size(), size()
	watch := newBystander(t, w)
	cut := func(w *workertest.Worker, at int64) bool {
		cuts := [2]int64{-1, at}
		if sent {
			cuts = [2]int64{at, -1}
		}
		_, err := try(w, cuts[0], cuts[1])
		if err != nil {
			require.ErrorIs(t, err, transport.ErrUnreachable, "cut at byte %d", at)
			require.ErrorContains(t, err, "127.0.0.1:", "cut at byte %d", at)
		}
		return err != nil
	}
	step := int64(1)
	if testing.Short() || raceEnabled {
		step = 29
	}
	cuts, failed := 0, 0
	for at := int64(0); at < warm; at += step {
		cuts++
		if cut(w, at) {
			failed++
		}
		if cuts%40 == 0 {
			watch.check()
		}
	}
	for at := int64(0); at < cold; at += 11 * step {
		cuts++
		fresh := workertest.Start(t, nil)
		if cut(fresh, at) {
			failed++
		}
		require.NoError(t, fresh.Close())
	}
	// Losing a part of the last request's answer is not an error: closing needs
	// none.
	require.Greater(t, failed, cuts*85/100)
	watch.check()
	require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == 1 }, 5*time.Second, time.Millisecond)
}
