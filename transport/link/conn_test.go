package link

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestCloseDelivers closes right after writing: all arrives, on schedule, and
// the end after it.
func TestCloseDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := named(t, "wan-100m-20ms")
		c, w := virtual(p, 1).pair()
		start := time.Now()
		_, err := c.Write(make([]byte, 1<<20))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Zero(t, time.Since(start), "closing does not wait")

		_, err = c.Write([]byte{1})
		require.ErrorIs(t, err, net.ErrClosed)
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		require.ErrorIs(t, c.Close(), net.ErrClosed)
		require.ErrorIs(t, c.SetDeadline(time.Time{}), net.ErrClosed)
		require.ErrorIs(t, c.SetWriteDeadline(time.Time{}), net.ErrClosed)
		require.ErrorIs(t, c.(closeWriter).CloseWrite(), net.ErrClosed)

		all, err := arrivals(w, start)
		require.NoError(t, err)
		require.Equal(t, arrival{p.OneWay(1 << 20), 1 << 20}, all[len(all)-1])
		require.Equal(t, p.OneWay(1<<20), time.Since(start))
		finish(w)
	})
}

// TestCloseIsDelayed: an end travels too.
func TestCloseIsDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := virtual(named(t, "wan-100m-20ms"), 1).pair()
		start := time.Now()
		require.NoError(t, c.Close())
		_, err := w.Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)
		require.Equal(t, 10*ms, time.Since(start))
		finish(w)
	})
}

func TestCloseEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := virtual(named(t, "wan-100m-20ms"), 1).pair()
		failed := make(chan error, 1)
		go func() {
			_, err := c.Read(make([]byte, 1))
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		finish(c, w)
	})
}

// TestHalfClose ends one direction and continues in the other.
func TestHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := virtual(named(t, "lan-1g-500us"), 1).pair()
		_, err := c.Write([]byte("question"))
		require.NoError(t, err)
		require.NoError(t, c.(closeWriter).CloseWrite())
		_, err = c.Write([]byte("more"))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		question, err := io.ReadAll(w)
		require.NoError(t, err)
		require.Equal(t, "question", string(question))
		_, err = w.Write([]byte("answer"))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		answer, err := io.ReadAll(c)
		require.NoError(t, err)
		require.Equal(t, "answer", string(answer))
		require.NoError(t, c.Close())
		finish(c, w)
	})
}

func TestNoHalfClose(t *testing.T) {
	for _, p := range []Profile{Loopback(), named(t, "1g-1ms")} {
		a, b := net.Pipe()
		c := Wrap(a, p, 1)
		require.ErrorIs(t, c.(closeWriter).CloseWrite(), errors.ErrUnsupported)
		finish(c, b)
	}
}

// TestWriteDeadline fills a queue that is never drained.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memPipe(1000)
		l := virtual(named(t, "1g-1ms"), 1)
		c := l.Client(a)
		start := time.Now()
		require.NoError(t, c.SetWriteDeadline(start.Add(50*ms)))
		n, err := c.Write(make([]byte, 16<<20))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 50*ms, time.Since(start))
		require.InDelta(t, l.profile.queue(), n, 64<<10)
		k, err := c.Write([]byte{1})
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "until it is set anew")
		require.Zero(t, k)

		// Moved while a writer waits: later, then now.
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(10*ms)))
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, 4<<20))
			failed <- err
		}()
		<-time.After(5 * ms)
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(time.Second)))
		<-time.After(100 * ms)
		require.Empty(t, failed)
		require.NoError(t, c.SetDeadline(time.Now()))
		require.ErrorIs(t, <-failed, os.ErrDeadlineExceeded)

		// None: the bytes that were taken are all there, and no others.
		require.NoError(t, c.SetDeadline(time.Time{}))
		up, _ := l.Counters()
		got := make(chan int64, 1)
		go func() {
			n, _ := io.Copy(io.Discard, b)
			got <- n
		}()
		k, err = c.Write(make([]byte, 4<<20))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Equal(t, up.Written+int64(k), <-got)
		finish(c, b)
	})
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, w := virtual(named(t, "wan-100m-20ms"), 1).pair()
		_, err := w.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(9*ms)))
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.NoError(t, c.SetReadDeadline(time.Time{}))
		_, err = c.Read(make([]byte, 1))
		require.NoError(t, err)
		finish(c, w)
	})
}

// TestErrors: an error of the connection below is returned to the next writer,
// to a waiting one, or to Close.
func TestErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := virtual(named(t, "1g-1ms"), 1)
		gone := func() net.Conn {
			a, b := memPipe(1000)
			_ = b.Close()
			c := l.Client(a)
			_, err := c.Write([]byte("never read"))
			require.NoError(t, err)
			<-time.After(ms)
			return c
		}
		c := gone()
		_, err := c.Write([]byte("x"))
		require.ErrorIs(t, err, io.ErrClosedPipe)
		require.ErrorIs(t, c.(closeWriter).CloseWrite(), io.ErrClosedPipe)
		require.NoError(t, c.Close())
		require.ErrorIs(t, gone().Close(), io.ErrClosedPipe)

		a, b := memPipe(1000)
		c = l.Client(a)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, 8<<20))
			failed <- err
		}()
		<-time.After(time.Second)
		require.NoError(t, b.Close())
		require.ErrorIs(t, <-failed, io.ErrClosedPipe)
		require.NoError(t, c.Close())

		// The other connections of the link are none the worse for it.
		c, w := l.pair()
		_, err = c.Write([]byte("x"))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		got, err := io.ReadAll(w)
		require.NoError(t, err)
		require.Equal(t, "x", string(got))
		finish(w)
	})
}

// TestLinger closes with a peer that takes nothing.
func TestLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memPipe(1000)
		c := virtual(named(t, "1g-1ms"), 1).Client(a)
		_, err := c.Write(make([]byte, 5000))
		require.NoError(t, err)
		<-time.After(time.Second)
		start := time.Now()
		require.NoError(t, c.Close())
		<-c.(*conn).done
		require.Equal(t, linger, time.Since(start))
		require.NoError(t, b.Close())
	})
}

// TestCloseEndsWrite closes under a writer that waits.
func TestCloseEndsWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := memPipe(1000)
		c := virtual(named(t, "1g-1ms"), 1).Client(a)
		failed := make(chan error, 1)
		go func() {
			_, err := c.Write(make([]byte, 8<<20))
			failed <- err
		}()
		synctest.Wait()
		require.NoError(t, c.Close())
		require.ErrorIs(t, <-failed, net.ErrClosed)
		finish(c, b)
	})
}

// TestAbort drops what is in progress, in any state of the goroutine.
func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []int{1000, plenty} {
			a, b := memPipe(limit)
			c := virtual(named(t, "1m-2s"), 1).Client(a).(*conn)
			_, err := c.Write(make([]byte, 500_000))
			require.NoError(t, err)
			<-time.After(1100 * ms)
			start := time.Now()
			c.abort()
			<-c.done
			require.Zero(t, time.Since(start))
			_, err = c.Write([]byte{1})
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, b.Close())
		}
	})
}

// TestSmallWrites verifies that a queue of tiny writes is bounded as well.
func TestSmallWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := virtual(named(t, "10m-1s"), 1)
		c, w := l.pair()
		require.NoError(t, c.SetWriteDeadline(time.Now().Add(100*ms)))
		n := 0
		for ; n < 1<<20; n++ {
			if _, err := c.Write([]byte{byte(n)}); err != nil {
				require.ErrorIs(t, err, os.ErrDeadlineExceeded)
				break
			}
		}
		require.Equal(t, c.(*conn).marks, n)
		require.NoError(t, c.Close())
		got, err := io.ReadAll(w)
		require.NoError(t, err)
		require.Len(t, got, n)
		finish(c, w)
	})
}

func TestDialer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := virtual(named(t, "wan-100m-20ms"), 1)
		var far []net.Conn
		dial := l.Dialer(func(_ context.Context, addr string) (net.Conn, error) {
			require.Equal(t, "worker:7070", addr)
			a, b := memPipe(plenty)
			far = append(far, b)
			return a, nil
		})
		start := time.Now()
		c, err := dial(t.Context(), "worker:7070")
		require.NoError(t, err)
		require.Equal(t, 20*ms, time.Since(start), "a connection is open after one round trip")
		finish(c)

		cause := errors.New("no longer wanted")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*ms, func() { cancel(cause) })
		start = time.Now()
		_, err = dial(ctx, "worker:7070")
		require.ErrorIs(t, err, cause)
		require.Equal(t, 5*ms, time.Since(start))
		_, err = far[1].Read(make([]byte, 1))
		require.ErrorIs(t, err, io.EOF)

		refused := errors.New("refused")
		_, err = l.Dialer(func(context.Context, string) (net.Conn, error) { return nil, refused })(t.Context(), "x")
		require.ErrorIs(t, err, refused)
	})
}
