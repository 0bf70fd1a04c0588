package secure

import (
	"encoding/binary"
	"net"
	"sync/atomic"

	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
)

// Counter counts the bytes of a connection; [transport.Ledger] is one.
type Counter interface {
	wire.Counter
	wire.SocketCounter
}

// records is a socket under TLS, which counts itself. Of what it moves, this counts
// as control what is not the content of a record of data: the handshake, and
// the header, type and tag of each record (RFC 8446, 5.2). It is written by one
// goroutine at a time and read by one at a time, as crypto/tls does.
type records struct {
	net.Conn
	count wire.Counter
	done  atomic.Bool // handshake
	out   recordParser
	in    recordParser
}

// handshaken says that what comes from now on is data.
func (r *records) handshaken() { r.done.Store(true) }

func (r *records) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if n > 0 {
		r.count.AddReceived(plan.CauseControl, r.overhead(&r.in, b[:n]))
	}
	return n, err
}

func (r *records) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	if n > 0 {
		r.count.AddSent(plan.CauseControl, r.overhead(&r.out, b[:n]))
	}
	return n, err
}

// overhead is the bytes in b that are no data. A worker sends nothing between
// its part of the handshake and the client's first data, so that where the
// handshake ends, reading has not gone beyond it.
func (r *records) overhead(p *recordParser, b []byte) int {
	if !r.done.Load() {
		return len(b)
	}
	return p.overhead(b)
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
