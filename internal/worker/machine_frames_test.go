package worker_test

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"net"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport/wire"
)

// rawFrame is a frame written by docs/wire.md alone, so that any field of it
// can be wrong.
type rawFrame struct {
	typ     wire.Type
	flags   wire.Flags
	stream  uint64
	control []byte
	payload []byte
	// spoil changes the bytes before they go out; it may be nil.
	spoil func([]byte) []byte
}

// bytes are those of the frame that is a connection's frame number.
func (f rawFrame) bytes(number uint32) []byte {
	table := crc32.MakeTable(crc32.Castagnoli)
	b := append([]byte("GNIE"), 1, byte(f.typ))
	b = binary.LittleEndian.AppendUint16(b, uint16(f.flags))
	b = binary.LittleEndian.AppendUint64(b, f.stream)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.control)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.payload)))
	sum := uint32(0)
	if len(f.payload) > 0 {
		sum = crc32.Checksum(f.payload, table)
	}
	b = binary.LittleEndian.AppendUint32(b, sum)
	b = binary.LittleEndian.AppendUint32(b, crc32.Update(crc32.Update(number, table, b), table, f.control))
	b = append(append(b, f.control...), f.payload...)
	if f.spoil != nil {
		b = f.spoil(b)
	}
	return b
}

func marshal(m proto.Message) []byte {
	if m == nil {
		return nil
	}
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

// pipes is a listener whose connections never touch the system: a fuzzer opens
// more of them per second than there are ports.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial() (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.done:
		return nil, io.ErrClosedPipe
	}
}

// Accept implements [net.Listener].
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr implements [net.Listener].
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

// draws hands out a fuzzer's bytes; when they are used up it gives zeros.
type draws []byte

func (d *draws) byte() int {
	if len(*d) == 0 {
		return 0
	}
	b := (*d)[0]
	*d = (*d)[1:]
	return int(b)
}

func (d *draws) below(n int) int { return d.byte() % n }
