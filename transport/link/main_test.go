package link

import (
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memPipe is a pair of connections in memory with half-close, whose buffers
// hold limit bytes each way. It works in virtual time.
func memPipe(limit int) (a, b *memConn) {
	one, two := newHalf(limit), newHalf(limit)
	return &memConn{in: one, out: two}, &memConn{in: two, out: one}
}

// half is one direction.
type half struct {
	mu              sync.Mutex
	changed         sync.Cond
	buf             []byte
	limit           int
	ended, broken   bool // no more is written, no reader is left
	readEnd, wrtEnd time.Time
}

func newHalf(limit int) *half {
	h := &half{limit: limit}
	h.changed.L = &h.mu
	return h
}

type memConn struct {
	in, out *half
	once    sync.Once
}

func past(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (c *memConn) Read(b []byte) (int, error) {
	h := c.in
	h.mu.Lock()
	defer h.mu.Unlock()
	for {
		switch {
		case past(h.readEnd):
			return 0, os.ErrDeadlineExceeded
		case h.broken:
			return 0, net.ErrClosed
		case len(h.buf) > 0:
			n := copy(b, h.buf)
			h.buf = h.buf[n:]
			h.changed.Broadcast()
			return n, nil
		case h.ended:
			return 0, io.EOF
		}
		h.changed.Wait()
	}
}

func (c *memConn) Write(b []byte) (n int, err error) {
	h := c.out
	h.mu.Lock()
	defer h.mu.Unlock()
	for n < len(b) {
		switch k := min(len(b)-n, h.limit-len(h.buf)); {
		case past(h.wrtEnd):
			return n, os.ErrDeadlineExceeded
		case h.ended || h.broken:
			return n, io.ErrClosedPipe
		case k > 0:
			h.buf = append(h.buf, b[n:n+k]...)
			n += k
			h.changed.Broadcast()
		default:
			h.changed.Wait()
		}
	}
	return n, nil
}

func (h *half) set(f func(h *half)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f(h)
	h.changed.Broadcast()
}

func (h *half) wakeAt(t time.Time) {
	if left := time.Until(t); !t.IsZero() && left > 0 {
		time.AfterFunc(left, func() { h.set(func(*half) {}) })
	}
}

func (c *memConn) CloseWrite() error {
	c.out.set(func(h *half) { h.ended = true })
	return nil
}

func (c *memConn) Close() error {
	c.once.Do(func() {
		c.out.set(func(h *half) { h.ended = true })
		c.in.set(func(h *half) { h.broken = true })
	})
	return nil
}

func (c *memConn) SetDeadline(t time.Time) error {
	_ = c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.in.set(func(h *half) { h.readEnd = t })
	c.in.wakeAt(t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func(h *half) { h.wrtEnd = t })
	c.out.wakeAt(t)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return memAddr{} }
func (c *memConn) RemoteAddr() net.Addr { return memAddr{} }

type memAddr struct{}

func (memAddr) Network() string { return "mem" }
func (memAddr) String() string  { return "mem" }

const plenty = 1 << 40 // a buffer that is never full

// virtual is a link that waits in virtual time.
func virtual(p Profile, seed uint64) *Link {
	l := New(p, seed)
	l.plain = true
	return l
}

// pair is a connection over l in memory.
func (l *Link) pair() (client, worker net.Conn) {
	a, b := memPipe(plenty)
	return l.Client(a), l.Worker(b)
}

// arrival is when some bytes were there.
type arrival struct {
	at time.Duration
	n  int // bytes so far
}

// arrivals reads c to its end. What arrives at one time is one arrival, in
// however many reads it comes.
func arrivals(c net.Conn, start time.Time) (all []arrival, err error) {
	b := make([]byte, 1<<20)
	total := 0
	for {
		n, err := c.Read(b)
		if n > 0 {
			total += n
			now := arrival{time.Since(start), total}
			if last := len(all) - 1; last >= 0 && all[last].at == now.at {
				all[last] = now
			} else {
				all = append(all, now)
			}
		}
		if err == io.EOF { //nolint:errorlint // Read gives it bare
			return all, nil
		}
		if err != nil {
			return all, err
		}
	}
}

// finish closes connections and waits until they have delivered: virtual time
// stands still once a test's own goroutine has ended.
func finish(conns ...net.Conn) {
	for _, c := range conns {
		_ = c.Close()
	}
	for _, c := range conns {
		if s, ok := c.(*conn); ok {
			<-s.done
		}
	}
}
