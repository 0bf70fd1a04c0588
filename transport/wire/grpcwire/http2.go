package grpcwire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"sync"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// Ledger is what counts the bytes of a connection; [transport.Ledger] is one.
type Ledger interface {
	wire.Counter
	wire.SocketCounter
}

// CountConn counts the bytes of a client's HTTP/2 connection: each at the
// socket, and those that HTTP/2 and gRPC add to the messages (preface, frame
// headers, SETTINGS, HEADERS, WINDOW_UPDATE, PING, padding, message prefixes)
// as control, by what they are. The messages themselves are counted by
// [wire.Conn].
func CountConn(c net.Conn, l Ledger) net.Conn {
	return &countedConn{Conn: wire.CountSocket(c, l), ledger: l, out: h2Parser{preface: len(clientPreface)}}
}

// CountServerConn is [CountConn] for the server's end of a connection. Messages
// of other services on it, such as health checks, count at the socket only.
//
// hold, which may be nil, is asked for the memory of messages of which not all
// has come, in steps, and given it back with a negative number; gRPC bounds each
// of them and not all together. When it refuses the connection ends, and so it
// does with a message that is compressed, whose memory is not known before.
func CountServerConn(c net.Conn, l Ledger, hold func(more int64) error) net.Conn {
	return &countedConn{Conn: wire.CountSocket(c, l), ledger: l, in: h2Parser{preface: len(clientPreface)}, hold: hold}
}

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// countedConn counts what is no message, over a socket that counts itself. It is
// written by one goroutine at a time and read by one at a time,
// as gRPC does.
type countedConn struct {
	net.Conn
	ledger  wire.Counter
	out, in h2Parser

	hold   func(more int64) error
	mu     sync.Mutex // of what follows
	held   int64
	closed bool
}

// heldFree is what messages that are there in part take without asking: one frame
// as this module sends it. Whoever gives hold has room for it.
const heldFree = wire.ChunkSize + wire.MaxControl

// heldStep is how much of messages that are there in part is taken at a time.
const heldStep = 64 << 10

// holds keeps as much memory as messages of which not all has come take.
func (c *countedConn) holds() error {
	if c.hold == nil {
		return nil
	}
	if c.in.compressed {
		return fmt.Errorf("%w: a compressed message", transport.ErrProtocol)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	more := (max(c.in.partial-heldFree, 0)+heldStep-1)/heldStep*heldStep - c.held
	if more == 0 || c.closed {
		return nil
	}
	if err := c.hold(more); err != nil {
		return err
	}
	c.held += more
	return nil
}

// Close closes the connection and gives back what it held.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	if c.hold != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.hold(-c.held)
		c.held, c.closed = 0, true
	}
	return err
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.ledger.AddReceived(plan.CauseControl, c.in.overhead(b[:n]))
		if held := c.holds(); held != nil {
			return 0, held
		}
	}
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if n > 0 {
		c.ledger.AddSent(plan.CauseControl, c.out.overhead(b[:n]))
	}
	return n, err
}

const (
	h2HeaderLen  = 9
	h2Data       = 0
	h2RstStream  = 3
	h2FlagPadded = 0x8
	h2Streams    = 32 // streams that are followed before those between two messages are forgotten
	prefixLen    = 5  // gRPC: compressed flag, length of the message
)

// h2Parser follows one direction of an HTTP/2 connection through buffers that
// break anywhere.
type h2Parser struct {
	preface int // bytes of the client's preface still to come
	head    [h2HeaderLen]byte
	headLen int
	body    int  // bytes of the frame's body still to come
	padding int  // those at its end that are padding
	padLen  bool // the next byte says how many
	data    bool // the frame is DATA
	streams map[uint32]*messageParser
	stream  *messageParser

	partial    int64 // bytes of messages that have begun and not ended
	compressed bool  // a message was
}

// messageParser follows the gRPC messages of one stream.
type messageParser struct {
	prefix    [prefixLen]byte
	prefixLen int
	left      int   // bytes of message still to come
	come      int64 // those of it that have
}

// overhead is the number of bytes in b that are not part of a message.
func (p *h2Parser) overhead(b []byte) (n int) {
	for len(b) > 0 {
		k, counted := p.step(b)
		n += counted
		b = b[k:]
	}
	return n
}

// step takes the next bytes of one kind and says how many are overhead.
func (p *h2Parser) step(b []byte) (taken, overhead int) {
	switch {
	case p.preface > 0:
		k := min(p.preface, len(b))
		p.preface -= k
		return k, k
	case p.body == 0 && !p.padLen:
		k := copy(p.head[p.headLen:], b)
		if p.headLen += k; p.headLen == h2HeaderLen {
			p.begin()
		}
		return k, k
	case p.padLen:
		p.padLen = false
		p.body--
		p.padding = min(int(b[0]), p.body)
		return 1, 1
	case !p.data || p.body <= p.padding:
		k := min(p.body, len(b))
		p.body -= k
		return k, k
	}
	k, overhead := p.stream.step(b[:min(p.body-p.padding, len(b))])
	p.body -= k
	if overhead == 0 {
		p.partial += int64(k)
		if p.stream.come += int64(k); p.stream.left == 0 {
			p.partial -= p.stream.come
			p.stream.come = 0
		}
	}
	p.compressed = p.compressed || p.stream.prefix[0] != 0
	return k, overhead
}

func (p *h2Parser) begin() {
	p.headLen = 0
	p.body = int(binary.BigEndian.Uint32(p.head[:4]) >> 8)
	p.data = p.head[3] == h2Data
	p.padding = 0
	p.padLen = p.data && p.head[4]&h2FlagPadded != 0 && p.body > 0
	id := binary.BigEndian.Uint32(p.head[5:]) &^ (1 << 31)
	if !p.data {
		if p.head[3] == h2RstStream {
			if m := p.streams[id]; m != nil {
				p.partial -= m.come
			}
			delete(p.streams, id)
		}
		return
	}
	if p.streams == nil {
		p.streams = map[uint32]*messageParser{}
	}
	if len(p.streams) >= h2Streams {
		// A stream that is between two messages is as one that never was, and
		// a connection may carry any number of them in its life.
		maps.DeleteFunc(p.streams, func(_ uint32, m *messageParser) bool { return m.prefixLen == 0 && m.left == 0 })
	}
	if p.stream = p.streams[id]; p.stream == nil {
		p.stream = &messageParser{}
		p.streams[id] = p.stream
	}
}

func (m *messageParser) step(b []byte) (taken, overhead int) {
	if m.left > 0 {
		k := min(m.left, len(b))
		m.left -= k
		return k, 0
	}
	k := copy(m.prefix[m.prefixLen:], b)
	if m.prefixLen += k; m.prefixLen == prefixLen {
		m.prefixLen = 0
		m.left = int(binary.BigEndian.Uint32(m.prefix[1:]))
	}
	return k, k
}
