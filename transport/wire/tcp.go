package wire

import (
	"bufio"
	"net"
)

// SocketCounter counts what a socket writes and reads; [transport.Ledger]
// implements it.
type SocketCounter interface {
	AddSocket(sent, received int)
}

// tcpPipe is a Pipe over a stream connection.
type tcpPipe struct {
	conn net.Conn
	r    *bufio.Reader // reads larger than its buffer bypass it
	vec  net.Buffers
	life *Activity
}

// Activity implements [Lively].
func (p *tcpPipe) Activity() uint64 { return p.life.Count() }

// NewTCP makes a Pipe over a TCP connection, or over any other stream. count
// may be nil; it counts every byte that the socket reads or writes,
// independently of frames.
func NewTCP(conn net.Conn, count SocketCounter) Pipe {
	t, direct := conn.(*net.TCPConn)
	if direct {
		_ = t.SetNoDelay(true)
	}
	if count == nil {
		count = noSocketCounter{}
	}
	s := newSocket(conn, count)
	p := &tcpPipe{conn: s, r: bufio.NewReaderSize(s, readBuffer), life: &s.life}
	if direct {
		return &peekPipe{p, t}
	}
	return p
}

type noSocketCounter struct{}

func (noSocketCounter) AddSocket(int, int) {}

func (p *tcpPipe) Read(b []byte) (int, error) { return p.r.Read(b) }

func (p *tcpPipe) WriteBuffers(bufs [][]byte, _ *Hold) (int, error) {
	if len(bufs) == 1 {
		return p.conn.Write(bufs[0])
	}
	p.vec = bufs
	n, err := p.conn.(*socket).writeVec(&p.vec)
	p.vec = nil
	return int(n), err
}

func (p *tcpPipe) Close() error { return p.conn.Close() }

// CountSocket only counts what a connection writes and reads.
func CountSocket(conn net.Conn, count SocketCounter) net.Conn { return newSocket(conn, count) }

func newSocket(conn net.Conn, count SocketCounter) *socket { return &socket{Conn: conn, count: count} }

// socket counts what its connection writes and reads.
type socket struct {
	net.Conn
	count SocketCounter
	life  Activity
}

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	s.life.Touch(n)
	s.count.AddSocket(0, n)
	return n, err
}

func (s *socket) Write(b []byte) (int, error) {
	n, err := s.Conn.Write(b)
	s.count.AddSocket(n, 0)
	return n, err
}

// buffersWriter is a connection that is not a socket of the system but writes
// several buffers at once.
type buffersWriter interface {
	WriteBuffers(v *net.Buffers) (int64, error)
}

// writeVec uses one writev if the connection supports it.
func (s *socket) writeVec(v *net.Buffers) (n int64, err error) {
	if w, ok := s.Conn.(buffersWriter); ok {
		n, err = w.WriteBuffers(v)
	} else {
		n, err = v.WriteTo(s.Conn)
	}
	s.count.AddSocket(int(n), 0)
	return n, err
}
