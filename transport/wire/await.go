package wire

import (
	"errors"
	"net"
	"os"
	"time"
)

// Peeker is a [Pipe] whose reader can inspect bytes before it takes them, and
// can be interrupted while it waits. Peek is called like Read; any goroutine
// may call Interrupt.
type Peeker interface {
	// Peek waits until n bytes have arrived and returns them without taking
	// them.
	Peek(n int) ([]byte, error)
	// Room is the maximum for Peek.
	Room() int
	// Interrupt makes a waiting Peek, and later ones, fail with
	// [os.ErrDeadlineExceeded].
	Interrupt()
	// Resume undoes an Interrupt.
	Resume()
}

// ErrInterrupted is the error of an interrupted [Conn.Await].
var ErrInterrupted = errors.New("genie: interrupted")

// Awaits reports whether [Conn.Await] is supported.
func (c *Conn) Awaits() bool {
	_, ok := c.pipe.(Peeker)
	return ok
}

// Await waits until the next frame has arrived completely, so that Next and
// ReadPayload do not block. whole is false for a frame that is too large for
// that, or that Next will refuse. It is called like Next, and takes nothing:
// after [ErrInterrupted] another goroutine may continue to read. Any other
// error is the connection's.
func (c *Conn) Await() (whole bool, err error) {
	p := c.pipe.(Peeker)
	head, err := p.Peek(len(magic))
	if err == nil && string(head) != magic {
		return false, nil
	}
	if err == nil {
		head, err = p.Peek(HeaderLen)
	}
	if err != nil {
		return false, unawaited(head, err)
	}
	h, err := parseHeader(head)
	here := h.Control + h.Payload
	if h.Flags&FlagShared != 0 {
		here = h.Control
	}
	if err != nil || here > uint64(p.Room()-HeaderLen) {
		return false, nil //nolint:nilerr // Next will say it
	}
	if head, err = p.Peek(HeaderLen + int(here)); err != nil {
		return false, unawaited(head, err)
	}
	return true, nil
}

// unawaited is why no more bytes arrived.
func unawaited(have []byte, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return ErrInterrupted
	case len(have) > 0:
		return noEOF(err)
	default:
		return err
	}
}

// Interrupt ends a waiting Await, and later ones until Resume.
func (c *Conn) Interrupt() { c.pipe.(Peeker).Interrupt() }

// Resume undoes an Interrupt.
func (c *Conn) Resume() { c.pipe.(Peeker).Resume() }

// peekPipe is a tcpPipe over a system socket, where a deadline reliably ends a
// read.
type peekPipe struct {
	*tcpPipe
	socket *net.TCPConn
}

// Peek implements [Peeker].
func (p *peekPipe) Peek(n int) ([]byte, error) { return p.r.Peek(n) }

// Room implements [Peeker].
func (p *peekPipe) Room() int { return p.r.Size() }

// past is an expired deadline.
var past = time.Unix(1, 0)

// Interrupt implements [Peeker].
func (p *peekPipe) Interrupt() { _ = p.socket.SetReadDeadline(past) }

// Resume implements [Peeker].
func (p *peekPipe) Resume() { _ = p.socket.SetReadDeadline(time.Time{}) }
