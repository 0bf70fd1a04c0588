package wire

import (
	"context"
	"fmt"
	"hash/crc32"
	"net"
	"runtime"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// SharedFrom is the least payload of a frame that goes through shared memory,
// where a connection has some. A smaller one is faster through the socket,
// which carries the header anyway.
const SharedFrom = 32 << 10

const (
	shareStep = 64 << 10 // payload that is copied between two checksum steps: it stays in the processor's nearest cache
	// The waits for room in shared memory: a ring is empty in less than a
	// millisecond when its reader reads.
	spinForRoom = 20 * time.Microsecond
	firstWait   = 50 * time.Microsecond
	longestWait = 5 * time.Millisecond
)

// sharedCounter counts bytes that go through shared memory; [transport.Ledger]
// is one.
type sharedCounter interface {
	AddShared(sent, received int)
}

// Rings are a ring of bytes in each direction, in memory that both ends map. One
// goroutine at a time writes (Room, Write), one reads (Read, Skip), and any may
// Close. What a peer does to the memory is an error at most.
type Rings interface {
	// Ring is how many bytes one ring holds.
	Ring() int
	// Room is how many bytes can be written now.
	Room() (int, error)
	// Write puts b into the ring to the peer, where there must be room.
	Write(b []byte) error
	// Read copies the next len(b) bytes out of the ring from the peer.
	Read(b []byte) error
	// Skip takes n bytes without reading them.
	Skip(n uint64) error
	// Close frees the memory, once nothing reads or writes it.
	Close()
}

// Share moves the large payloads of the connection through m, in both
// directions, and takes m over. Both ends call it before they send a frame
// after Hello: the worker before it answers, the client when it has the answer.
func (c *Conn) Share(m Rings) {
	c.shared.Store(&m)
	select {
	case <-c.closed:
		m.Close()
	default:
	}
}

// Shared reports whether the connection has shared memory.
func (c *Conn) Shared() bool { return c.shared.Load() != nil }

// shares reports whether a frame with n bytes of payload goes through shared
// memory.
func (c *Conn) shares(n uint64) bool {
	m := c.shared.Load()
	return m != nil && n >= SharedFrom && n <= uint64((*m).Ring())
}

// sendShared waits for room in shared memory and for its turn, and writes one
// frame. While it waits for room, frames of others may go first.
func (c *Conn) sendShared(ctx context.Context, h Header, control proto.Message, pieces []Segment) (wrote bool, err error) {
	h.Flags |= FlagShared
	begun, pause := time.Now(), firstWait
	for {
		if err := c.acquire(ctx); err != nil {
			return false, err
		}
		room, err := (*c.shared.Load()).Room()
		if err == nil && uint64(room) >= h.Payload {
			return c.writeFrame(ctx, h, control, pieces, nil)
		}
		c.lock <- struct{}{}
		if err != nil {
			err = c.broken(err)
			_ = c.Close()
			return false, err
		}
		if time.Since(begun) < spinForRoom {
			runtime.Gosched()
			continue
		}
		if err := c.pause(ctx, pause); err != nil {
			return false, err
		}
		pause = min(2*pause, longestWait)
	}
}

// pause waits, until the connection or ctx ends at the latest.
func (c *Conn) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.closed:
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// put puts a frame's payload into shared memory and returns its checksum. It is
// called with the token, when there is room.
func (c *Conn) put(pieces []Segment) (crc uint32, err error) {
	w := *c.shared.Load()
	for _, p := range pieces {
		for b := p.Data; len(b) > 0; {
			k := min(len(b), shareStep)
			crc = crc32.Update(crc, castagnoli, b[:k])
			if err := w.Write(b[:k]); err != nil {
				return 0, c.broken(err)
			}
			b = b[k:]
		}
		c.count.AddSent(p.Cause, len(p.Data))
		c.beside.AddShared(len(p.Data), 0)
	}
	return crc, nil
}

// checkShared verifies that a frame may have its payload in shared memory.
func (c *Conn) checkShared(h Header) error {
	if h.Flags&FlagShared == 0 {
		return nil
	}
	if m := c.shared.Load(); m == nil || h.Payload > uint64((*m).Ring()) {
		return fmt.Errorf("%w: payload of %d bytes in shared memory that is not there", transport.ErrProtocol, h.Payload)
	}
	return nil
}

// readShared reads a payload out of shared memory, as ReadPayload does. What is
// checked is the copy in the sink, whatever becomes of the memory.
func (c *Conn) readShared(h Header, sink *Sink, cause plan.Cause, bad error) (_, err error) {
	r := *c.shared.Load()
	if sink == nil || bad != nil {
		if err := r.Skip(h.Payload); err != nil {
			return bad, c.broken(err)
		}
		c.took(cause, int(h.Payload))
		return bad, nil
	}
	crc := uint32(0)
	for left := h.Payload; left > 0; {
		var b []byte
		b, cause = sink.next(min(left, shareStep))
		if err := r.Read(b); err != nil {
			return nil, c.broken(err)
		}
		c.took(cause, len(b))
		crc = crc32.Update(crc, castagnoli, b)
		left -= uint64(len(b))
	}
	if crc != h.payloadCRC {
		bad = fmt.Errorf("%w: checksum of a %v payload of %d bytes", transport.ErrCorrupt, h.Type, h.Payload)
	}
	return bad, nil
}

// took counts bytes that came through shared memory: as what they are, and as
// bytes of the connection.
func (c *Conn) took(cause plan.Cause, n int) {
	c.count.AddReceived(cause, n)
	c.beside.AddShared(0, n)
}

// broken is an error of shared memory as one of the connection.
func (c *Conn) broken(err error) error {
	select {
	case <-c.closed:
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	default:
		return fmt.Errorf("%w: %w", transport.ErrProtocol, err)
	}
}

// Direct is the address of this end of a connection between two processes of
// this machine; empty for any other. A worker compares it with the address that
// it sees, so that what a proxy in between shapes or records stays on the
// socket.
func Direct(conn net.Conn) string {
	t, ok := conn.(*net.TCPConn)
	if !ok {
		return ""
	}
	own, _ := t.LocalAddr().(*net.TCPAddr)
	peer, _ := t.RemoteAddr().(*net.TCPAddr)
	if own == nil || peer == nil || !own.IP.Equal(peer.IP) && (!own.IP.IsLoopback() || !peer.IP.IsLoopback()) {
		return ""
	}
	return own.String()
}
