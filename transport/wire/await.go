package wire

import (
	"errors"
	"net"
	"os"
	"time"
)

// Peeker is a [Pipe] whose reader can look at what comes before it takes it, and
// be told to stop waiting for it. Peek is called as Read is; Interrupt by anybody.
type Peeker interface {
	// Peek waits until n bytes are there and gives them without taking them.
	Peek(n int) ([]byte, error)
	// Room is the most that can be peeked at.
	Room() int
	// Interrupt makes a Peek that waits, and those to come, fail with
	// [os.ErrDeadlineExceeded].
	Interrupt()
	// Resume takes an Interrupt back.
	Resume()
}

// ErrInterrupted is the error of an [Conn.Await] that was interrupted.
var ErrInterrupted = errors.New("genie: interrupted")

// Awaits reports whether [Conn.Await] can be used.
func (c *Conn) Awaits() bool {
	_, ok := c.pipe.(Peeker)
	return ok
}

// Await waits until all of the next frame is there, so that Next and ReadPayload
// do not wait. whole is false for a frame that is too large for that, or that Next
// will refuse. It is called as Next is, and takes nothing: after [ErrInterrupted]
// another goroutine may continue to read. Any other error is the connection's.
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
	if err != nil || h.Control+h.Payload > uint64(p.Room()-HeaderLen) {
		return false, nil //nolint:nilerr // Next will say it
	}
	if head, err = p.Peek(HeaderLen + int(h.Control+h.Payload)); err != nil {
		return false, unawaited(head, err)
	}
	return true, nil
}

// unawaited is why no more came than have.
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

// Interrupt ends an Await that waits, and those to come until Resume.
func (c *Conn) Interrupt() { c.pipe.(Peeker).Interrupt() }

// Resume takes an Interrupt back.
func (c *Conn) Resume() { c.pipe.(Peeker).Resume() }

// peekPipe is a tcpPipe over a socket of the system, whose deadlines are known to
// end a read.
type peekPipe struct {
	*tcpPipe
	socket *net.TCPConn
}

// Peek implements [Peeker].
func (p *peekPipe) Peek(n int) ([]byte, error) { return p.r.Peek(n) }

// Room implements [Peeker].
func (p *peekPipe) Room() int { return p.r.Size() }

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Interrupt implements [Peeker].
func (p *peekPipe) Interrupt() { _ = p.socket.SetReadDeadline(past) }

// Resume implements [Peeker].
func (p *peekPipe) Resume() { _ = p.socket.SetReadDeadline(time.Time{}) }
