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

// Ledger counts the bytes of a connection; [transport.Ledger] implements it.
type Ledger interface {
	wire.Counter
	wire.SocketCounter
}

// CountConn counts the bytes of a client's HTTP/2 connection: each byte at the
// socket, and as control the overhead of HTTP/2 and gRPC (preface, frame
// headers, SETTINGS, HEADERS, WINDOW_UPDATE, PING, padding, message prefixes).
// [wire.Conn] counts the messages themselves.
func CountConn(c net.Conn, l Ledger) net.Conn {
	return &countedConn{Conn: wire.CountSocket(c, l), ledger: l, out: h2Parser{preface: len(clientPreface)}}
}

// CountServerConn is [CountConn] for the server's end of a connection. Messages
// of other services on it, such as health checks, count at the socket only.
//
// hold, which may be nil, takes the memory of incomplete messages in steps, and
// gives it back with a negative number: gRPC bounds each message but not their
// sum. The connection ends when hold refuses, and also on a compressed message,
// whose size in memory is not known in advance.
func CountServerConn(c net.Conn, l Ledger, hold func(more int64) error) net.Conn {
	return &countedConn{Conn: wire.CountSocket(c, l), ledger: l, in: h2Parser{preface: len(clientPreface)}, hold: hold}
}

const clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// countedConn counts bytes outside messages, over a socket that counts itself.
// Like gRPC's connections it has one writer and one reader at a time.
type countedConn struct {
	net.Conn
	ledger  wire.Counter
	out, in h2Parser

	hold   func(more int64) error
	mu     sync.Mutex // guards the following
	held   int64
	closed bool
}

// heldFree is what incomplete messages take without asking: one frame as this
// module sends it. The provider of hold has room for it.
const heldFree = wire.ChunkSize + wire.MaxControl

// heldStep is the step in which memory for incomplete messages is taken.
const heldStep = 64 << 10

// holds takes as much memory as incomplete messages need.
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
	h2Streams    = 32 // streams that are tracked before idle ones are forgotten
	prefixLen    = 5  // gRPC: compressed flag, length of the message
)

// h2Parser follows one direction of an HTTP/2 connection through buffers that
// break anywhere.
type h2Parser struct {
	preface int // remaining bytes of the client's preface
	head    [h2HeaderLen]byte
	headLen int
	body    int  // remaining bytes of the frame's body
	padding int  // padding at the end of the body
	padLen  bool // the next byte is the padding length
	data    bool // the frame is DATA
	streams map[uint32]*messageParser
	stream  *messageParser

	partial    int64 // bytes of incomplete messages
	compressed bool  // a message was compressed
}

// messageParser follows the gRPC messages of one stream.
type messageParser struct {
	prefix    [prefixLen]byte
	prefixLen int
	left      int   // remaining bytes of the message
	come      int64 // bytes of it received
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

// step takes the next bytes of one kind and returns how many of them are
// overhead.
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
		// An idle stream needs no state, and a connection may carry any number
		// of streams in its life.
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
