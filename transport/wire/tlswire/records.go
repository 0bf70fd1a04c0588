package tlswire

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// Counter counts the bytes of a connection; [transport.Ledger] is one.
type Counter interface {
	wire.Counter
	wire.SocketCounter
}

// Conn is a socket under TLS. It counts what the socket moves, and counts as
// control what is not the content of a record of data: the handshake, and the
// header, type and tag of each record (RFC 8446, 5.2). It is written by one
// goroutine at a time and read by one at a time, as crypto/tls does.
type Conn struct {
	net.Conn
	count wire.Counter
	done  atomic.Bool // handshake
	out   recordParser
	in    recordParser

	readEnds, writeEnds sync.Once
}

// Count counts what goes over c, on which TLS begins.
func Count(c net.Conn, count Counter) *Conn {
	return &Conn{Conn: wire.CountSocket(c, count), count: count}
}

// Handshaken says that what comes from now on is data. It is called before any
// is sent.
func (r *Conn) Handshaken() {
	r.in.content.Store(0)
	r.out.content.Store(0)
	r.done.Store(true)
}

// Read reads. In the handshake it does not go beyond a record, so that where the
// handshake ends, data that came with it has not been read.
func (r *Conn) Read(b []byte) (int, error) {
	if !r.done.Load() {
		b = b[:min(len(b), r.in.left())]
	}
	n, err := r.Conn.Read(b)
	if n > 0 {
		r.count.AddReceived(plan.CauseControl, r.overhead(&r.in, b[:n]))
	}
	return n, err
}

func (r *Conn) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	if n > 0 {
		r.count.AddSent(plan.CauseControl, r.overhead(&r.out, b[:n]))
	}
	return n, err
}

// ReadEnds counts the content that was read and was no data: plain is how much
// was. It is known once the connection has ended in this direction, with the
// notice that it does. Later calls do nothing.
func (r *Conn) ReadEnds(plain int64) {
	r.ends(&r.readEnds, func() { r.count.AddReceived(plan.CauseControl, r.in.alerts(plain)) })
}

// WriteEnds is the same for what was written.
func (r *Conn) WriteEnds(plain int64) {
	r.ends(&r.writeEnds, func() { r.count.AddSent(plan.CauseControl, r.out.alerts(plain)) })
}

// ends counts once, and not what ends in the handshake: that is counted.
func (r *Conn) ends(once *sync.Once, count func()) {
	if r.done.Load() {
		once.Do(count)
	}
}

// overhead is the bytes in b that are no data.
func (r *Conn) overhead(p *recordParser, b []byte) int {
	n := p.overhead(b)
	if !r.done.Load() {
		return len(b)
	}
	return n
}

const (
	recordHeader = 5
	recordTail   = 1 + 16 // type of the content, and tag of the ciphers of TLS 1.3
	typeData     = 23
)

// recordParser follows one direction through buffers that break anywhere.
type recordParser struct {
	head    [recordHeader]byte
	headLen int
	data    int          // bytes of the record's content still to come
	tail    int          // bytes after them
	content atomic.Int64 // bytes of content so far
}

// alerts is the content that was no data of the connection's: plain is how much
// was. It is known once the connection has ended in this direction, with the
// notice that it does.
func (p *recordParser) alerts(plain int64) int { return int(max(p.content.Load()-plain, 0)) }

// left is how many bytes there are to the end of the record, or of its header.
func (p *recordParser) left() int {
	if n := p.data + p.tail; n > 0 {
		return n
	}
	return recordHeader - p.headLen
}

// overhead is the number of bytes in b that are no content.
func (p *recordParser) overhead(b []byte) (n int) {
	for len(b) > 0 {
		switch {
		case p.data > 0:
			k := min(p.data, len(b))
			p.data -= k
			p.content.Add(int64(k))
			b = b[k:]
		case p.tail > 0:
			k := min(p.tail, len(b))
			p.tail -= k
			n += k
			b = b[k:]
		default:
			k := copy(p.head[p.headLen:], b)
			n += k
			b = b[k:]
			if p.headLen += k; p.headLen == recordHeader {
				p.begin()
			}
		}
	}
	return n
}

// begin reads the header of a record.
func (p *recordParser) begin() {
	p.headLen = 0
	p.tail = int(binary.BigEndian.Uint16(p.head[3:]))
	if p.head[0] == typeData && p.tail > recordTail {
		p.data, p.tail = p.tail-recordTail, recordTail
	}
}
