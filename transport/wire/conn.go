package wire

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Pipe carries frames. Read is called by one goroutine at a time, WriteBuffers
// by one goroutine at a time, Close by any.
type Pipe interface {
	io.Reader
	// WriteBuffers writes all of bufs, which make one frame. On return the
	// caller owns the first buffer again; the others may be read until hold is
	// done. The outer slice may be overwritten.
	WriteBuffers(bufs [][]byte, hold *Hold) (int, error)
	// Close ends both directions and makes Read and WriteBuffers return.
	Close() error
}

// Counter counts the bytes of frames by cause; [transport.Ledger] is one.
type Counter interface {
	AddSent(c plan.Cause, n int)
	AddReceived(c plan.Cause, n int)
}

// Message is what a peer sends: a control message and its payload.
type Message struct {
	Type    Type
	Flags   Flags
	Stream  uint64
	Control proto.Message // nil for none
	Payload []Segment
	// Open says that another call of Send, of type Data, continues the message.
	Open bool
	// Sent is called after each frame with the number of payload bytes in it.
	// It may be nil.
	Sent func(n int)
}

// Conn is one end of a connection.
type Conn struct {
	pipe   Pipe
	count  Counter
	beside sharedCounter         // counts what does not go through the pipe
	shared atomic.Pointer[Rings] // for large payloads; nil for none, set before a frame uses it

	lock    chan struct{} // holds one token; its holder writes
	writing atomic.Uint64 // number of the frame being written, 0 for none
	frames  uint64        // frames written while a context was watched; guarded by the token
	sent    atomic.Uint32 // frames written; changed under the token
	head    []byte        // header and small payloads; guarded by the token
	control []byte        // guarded by the token
	spare   chan []byte   // memory for frames of mapped files
	bufs    [][]byte      // guarded by the token

	closed    chan struct{}
	closeOnce sync.Once

	received  atomic.Uint32 // frames read
	in        [HeaderLen]byte
	inLimit   uint64 // of a control message
	inControl []byte
	scratch   []byte
}

// NewConn makes a connection over pipe. count may be nil.
func NewConn(pipe Pipe, count Counter) *Conn {
	if count == nil {
		count = noCounter{}
	}
	c := &Conn{pipe: pipe, count: count, lock: make(chan struct{}, 1), closed: make(chan struct{}), inLimit: MaxControl, spare: make(chan []byte, stagesAhead+1)}
	if c.beside, _ = count.(sharedCounter); c.beside == nil {
		c.beside = noCounter{}
	}
	c.lock <- struct{}{}
	return c
}

type noCounter struct{}

func (noCounter) AddSent(plan.Cause, int)     {}
func (noCounter) AddReceived(plan.Cause, int) {}
func (noCounter) AddShared(int, int)          {}

// Close ends the connection in both directions.
func (c *Conn) Close() error {
	var err error
	c.closeOnce.Do(func() {
		close(c.closed)
		err = c.pipe.Close()
		if m := c.shared.Load(); m != nil {
			(*m).Close()
		}
	})
	return err
}

// Send writes m in as many frames as it needs; frames of other messages may
// come in between. It reports whether any part of m was sent. If so and there
// is an error, either the peer waits for the rest until it gets a Cancel, or
// the connection is broken. When Send returns, the caller owns the memory of
// the payload again.
func (c *Conn) Send(ctx context.Context, m *Message) (started bool, err error) {
	left := Len(m.Payload)
	cur := cursor{segs: m.Payload}
	var hold *Hold
	var views *stages
	if left > 0 && viewed(m.Payload) {
		views = startStages(m.Payload, left, c.closed, c.spare)
		defer views.end()
	} else if left > copyLimit {
		hold = newHold()
		defer hold.wait(c.closed)
	}
	var few [16]Segment
	pieces := few[:0]
	h := Header{Type: m.Type, Flags: m.Flags, Stream: m.Stream}
	control := m.Control
	var sums *checksums
	if views == nil && left > sumsAhead*ChunkSize && !c.shares(ChunkSize) {
		sums = startChecksums(m.Payload, left)
		defer sums.end()
	}
	for {
		n := min(left, ChunkSize)
		left -= n
		switch {
		case views != nil:
			f, err := views.take(ctx)
			if err != nil {
				return started, err
			}
			pieces, h.payloadCRC, hold = f.pieces, f.crc, f.hold
		default:
			pieces = cur.take(pieces[:0], int(n))
			if !c.shares(n) {
				h.payloadCRC = sums.of(pieces)
			}
		}
		h.Payload = n
		if h.Flags &^= FlagMore; left > 0 || m.Open {
			h.Flags |= FlagMore
		}
		wrote, err := c.sendFrame(ctx, h, control, pieces, hold)
		if views != nil {
			hold.Done()
		}
		started = started || wrote
		if err != nil {
			return started, err
		}
		if m.Sent != nil {
			m.Sent(int(n))
		}
		if left == 0 {
			return true, nil
		}
		h.Type, control = TypeData, nil
	}
}

// FramesSent is the number of frames written, including the one being written.
func (c *Conn) FramesSent() uint32 { return c.sent.Load() }

func (c *Conn) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case <-c.lock:
	case <-c.closed:
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-c.closed:
		c.lock <- struct{}{}
		return fmt.Errorf("%w: connection", transport.ErrClosed)
	default:
		return nil
	}
}

// sendFrame waits for its turn and writes one frame.
func (c *Conn) sendFrame(ctx context.Context, h Header, control proto.Message, pieces []Segment, hold *Hold) (wrote bool, err error) {
	if c.shares(h.Payload) {
		return c.sendShared(ctx, h, control, pieces)
	}
	if err := c.acquire(ctx); err != nil {
		return false, err
	}
	return c.writeFrame(ctx, h, control, pieces, hold)
}

// writeFrame writes one frame and returns the token. An error after a partial
// write means that the connection is closed.
func (c *Conn) writeFrame(ctx context.Context, h Header, control proto.Message, pieces []Segment, hold *Hold) (wrote bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			_ = c.Close() // a frame may be written in part
			defer panic(r)
		}
		c.lock <- struct{}{}
	}()
	if err := c.marshal(control); err != nil {
		return false, err
	}
	if h.Flags&FlagShared != 0 && len(pieces) > 0 {
		if h.payloadCRC, err = c.put(pieces); err != nil {
			_ = c.Close()
			return false, err
		}
		pieces = nil
	}
	h.number = c.sent.Load()
	c.sent.Store(h.number + 1)
	c.head = h.append(c.head[:0], c.control)
	headLen := len(c.head)
	c.bufs = c.bufs[:0]
	if h.Payload <= copyLimit || len(pieces) == 0 {
		for _, p := range pieces {
			c.head = append(c.head, p.Data...)
		}
		c.bufs = append(c.bufs, c.head)
	} else {
		c.bufs = append(c.bufs, c.head)
		for _, p := range pieces {
			c.bufs = append(c.bufs, p.Data)
		}
	}
	stop := c.watchStall(ctx)
	n, err := c.pipe.WriteBuffers(c.bufs, hold)
	stop()
	clear(c.bufs)
	if cap(c.control) > keepControl {
		c.control, c.head = nil, nil
	}
	c.account(n, headLen, pieces)
	if err != nil {
		_ = c.Close()
	}
	return true, err
}

// marshal writes the control message into c.control.
func (c *Conn) marshal(m proto.Message) (err error) {
	c.control = c.control[:0]
	if m == nil {
		return nil
	}
	if c.control, err = (proto.MarshalOptions{}).MarshalAppend(c.control, m); err != nil {
		return fmt.Errorf("%w: %w", transport.ErrInternal, err)
	}
	if len(c.control) > MaxControl {
		return fmt.Errorf("%w: control message of %d bytes, the limit is %d", transport.ErrLimit, len(c.control), MaxControl)
	}
	return nil
}

// account attributes the first n bytes of a frame to causes.
func (c *Conn) account(n, headLen int, pieces []Segment) {
	c.count.AddSent(plan.CauseControl, min(n, headLen))
	n -= min(n, headLen)
	for _, p := range pieces {
		if n == 0 {
			return
		}
		k := min(n, len(p.Data))
		c.count.AddSent(p.Cause, k)
		n -= k
	}
}

// LimitControl bounds the control messages that Next accepts, at most
// [MaxControl]. Only the caller of Next may call it.
func (c *Conn) LimitControl(n uint64) { c.inLimit = min(n, MaxControl) }

// Next reads the header and the control message of the next frame. The bytes of
// the control message are valid until the next call. The payload must be read
// with ReadPayload before that. An error means that the framing or the
// connection is lost; io.EOF is an end between frames.
func (c *Conn) Next() (Header, []byte, error) {
	if cap(c.inControl) > keepControl { // a peer may be silent for long
		c.inControl = nil
	}
	if _, err := io.ReadFull(c.pipe, c.in[:4]); err != nil {
		return Header{}, nil, err
	}
	if string(c.in[:4]) == magic {
		if _, err := io.ReadFull(c.pipe, c.in[4:]); err != nil {
			return Header{}, nil, noEOF(err)
		}
	}
	h, err := parseHeader(c.in[:])
	if errors.Is(err, transport.ErrVersion) && c.received.Load() > 0 { // a peer does not change its version: the byte was damaged
		err = fmt.Errorf("%w: frame of version %d", transport.ErrCorrupt, c.in[4])
	}
	if err != nil {
		return Header{}, nil, err
	}
	if h.Control > c.inLimit {
		return Header{}, nil, fmt.Errorf("%w: control message of %d bytes, the limit is %d here", transport.ErrLimit, h.Control, c.inLimit)
	}
	if err := c.readControl(int(h.Control)); err != nil {
		return Header{}, nil, noEOF(err)
	}
	if err := checkHeader(c.received.Load(), c.in[:], c.inControl); err != nil {
		return Header{}, nil, err
	}
	if err := c.checkShared(h); err != nil {
		return Header{}, nil, err
	}
	c.received.Add(1)
	c.count.AddReceived(plan.CauseControl, HeaderLen+len(c.inControl))
	return h, c.inControl, nil
}

// readControl reads a control message of n bytes. It takes memory as the bytes
// arrive.
func (c *Conn) readControl(n int) error {
	c.inControl = c.inControl[:0]
	for have := 0; have < n; have = len(c.inControl) {
		k := min(n-have, keepControl)
		c.inControl = slices.Grow(c.inControl, k)[:have+k]
		if _, err := io.ReadFull(c.pipe, c.inControl[have:]); err != nil {
			return err
		}
	}
	return nil
}

// ReadPayload reads the payload of the frame that Next announced into sink. If
// sink is nil or too small, it discards the payload and counts its bytes as
// cause. bad is a fault of the payload that leaves the connection usable; err
// means that the connection is lost.
func (c *Conn) ReadPayload(h Header, sink *Sink, cause plan.Cause) (bad, err error) {
	if sink != nil && h.Payload > sink.Left() {
		bad = fmt.Errorf("%w: payload of %d bytes where %d are left", transport.ErrProtocol, h.Payload, sink.Left())
	}
	if h.Flags&FlagShared != 0 {
		return c.readShared(h, sink, cause, bad)
	}
	discard := sink == nil || bad != nil
	if discard && c.scratch == nil && h.Payload > 0 {
		c.scratch = make([]byte, dropBuffer)
	}
	crc := uint32(0)
	for left := h.Payload; left > 0; {
		var b []byte
		if discard {
			b = c.scratch[:min(left, uint64(len(c.scratch)))]
		} else {
			b, cause = sink.next(min(left, readStep))
		}
		n, err := io.ReadFull(c.pipe, b)
		c.count.AddReceived(cause, n)
		if err != nil {
			return bad, noEOF(err)
		}
		crc = crc32.Update(crc, castagnoli, b)
		left -= uint64(len(b))
	}
	if bad == nil && crc != h.payloadCRC {
		bad = fmt.Errorf("%w: checksum of a %v payload of %d bytes", transport.ErrCorrupt, h.Type, h.Payload)
	}
	return bad, nil
}

// noEOF turns an end inside a frame into an unexpected one.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
