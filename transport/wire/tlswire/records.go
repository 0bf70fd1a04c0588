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
// control everything outside the content of data records: the handshake, and
// the header, type and tag of each record (RFC 8446, 5.2). Like crypto/tls it
// has one writer and one reader at a time.
type Conn struct {
	net.Conn
	count wire.Counter
	done  atomic.Bool // handshake
	out   recordParser
	in    recordParser

	readEnds, writeEnds sync.Once
}

// Count counts the bytes of c, on which TLS begins.
func Count(c net.Conn, count Counter) *Conn {
	return &Conn{Conn: wire.CountSocket(c, count), count: count}
}

// Handshaken says that data follows from now on. It is called before any data
// is sent.
func (r *Conn) Handshaken() {
	r.in.content.Store(0)
	r.out.content.Store(0)
	r.done.Store(true)
}

// Read reads. During the handshake it does not read beyond a record, so data
// that follows the handshake stays unread.
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

// ReadEnds counts the record content that was read but was not data: plain is
// how much was data. This is known once the connection has ended in this
// direction with a close notice. Later calls do nothing.
func (r *Conn) ReadEnds(plain int64) {
	r.ends(&r.readEnds, func() { r.count.AddReceived(plan.CauseControl, r.in.alerts(plain)) })
}

// WriteEnds is the same for what was written.
func (r *Conn) WriteEnds(plain int64) {
	r.ends(&r.writeEnds, func() { r.count.AddSent(plan.CauseControl, r.out.alerts(plain)) })
}

// ends counts once, and excludes what ends in the handshake, which is already
// counted.
func (r *Conn) ends(once *sync.Once, count func()) {
	if r.done.Load() {
		once.Do(count)
	}
}

// overhead is the number of bytes in b that are not data.
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
	data    int          // remaining bytes of the record's content
	tail    int          // remaining bytes after the content
	content atomic.Int64 // bytes of content so far
}

// alerts is the record content that was not data of the connection: plain is
// how much was data. It is known once the connection has ended in this
// direction with a close notice.
func (p *recordParser) alerts(plain int64) int { return int(max(p.content.Load()-plain, 0)) }

// left is the number of bytes up to the end of the record, or of its header.
func (p *recordParser) left() int {
	if n := p.data + p.tail; n > 0 {
		return n
	}
	return recordHeader - p.headLen
}

// overhead is the number of bytes in b that are not content.
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
