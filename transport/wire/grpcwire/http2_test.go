package grpcwire

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream writes an HTTP/2 connection's bytes and counts what is no message.
type stream struct {
	b        []byte
	overhead int
}

func (s *stream) frame(typ, flags byte, id uint32, body []byte, overhead int) {
	s.b = append(s.b, byte(len(body)>>16), byte(len(body)>>8), byte(len(body)), typ, flags)
	s.b = binary.BigEndian.AppendUint32(s.b, id)
	s.b = append(s.b, body...)
	s.overhead += h2HeaderLen + overhead
}

// TestOverhead takes a connection apart at every place.
func TestOverhead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		s := &stream{b: []byte(clientPreface), overhead: len(clientPreface)}
		left := map[uint32][]byte{}  // bytes of messages still to be sent in DATA, by stream
		heads := map[uint32][]bool{} // which of them are prefix
		for range 30 {
			id := uint32(r.IntN(2)*2 + 1)
			if r.IntN(3) == 0 {
				body := make([]byte, r.IntN(30))
				typ := byte(1 + r.IntN(8))
				s.frame(typ, 0, id, body, len(body))
				if typ == h2RstStream { // its messages end where they are
					delete(left, id)
					delete(heads, id)
				}
				continue
			}
			if len(left[id]) == 0 {
				n := r.IntN(50)
				msg := binary.BigEndian.AppendUint32([]byte{0}, uint32(n))
				left[id] = append(msg, make([]byte, n)...)
				heads[id] = make([]bool, len(left[id]))
				for i := range prefixLen {
					heads[id][i] = true
				}
			}
			n := r.IntN(len(left[id]) + 1)
			body, over := append([]byte(nil), left[id][:n]...), 0
			for _, h := range heads[id][:n] {
				if h {
					over++
				}
			}
			left[id], heads[id] = left[id][n:], heads[id][n:]
			flags := byte(0)
			if r.IntN(4) == 0 {
				pad := r.IntN(9)
				flags = h2FlagPadded
				body = append(append([]byte{byte(pad)}, body...), make([]byte, pad)...)
				over += 1 + pad
			}
			s.frame(h2Data, flags, id, body, over)
		}
		p := h2Parser{preface: len(clientPreface)}
		got := 0
		for b := s.b; len(b) > 0; {
			n := min(len(b), r.IntN(40)+1)
			got += p.overhead(b[:n])
			b = b[n:]
		}
		require.Equal(t, s.overhead, got)
	}
}

// TestStreamsAreForgotten verifies that a connection with any number of short
// streams, as health checks make them, is counted right and in bounded memory.
func TestStreamsAreForgotten(t *testing.T) {
	s := &stream{}
	message := append(binary.BigEndian.AppendUint32([]byte{0}, 7), make([]byte, 7)...)
	for id := range uint32(1000) {
		s.frame(h2Data, 0, 2*id+1, message[:9], prefixLen)
		if id%2 == 0 {
			s.frame(h2Data, 0, 2*id+1, message[9:], 0)
		} else {
			s.frame(h2RstStream, 0, 2*id+1, make([]byte, 4), 4)
		}
	}
	p := h2Parser{}
	require.Equal(t, s.overhead, p.overhead(s.b))
	require.LessOrEqual(t, len(p.streams), h2Streams)
}

// FuzzOverhead: what is counted does not depend on where reads break, and is
// never more than there is.
func FuzzOverhead(f *testing.F) {
	f.Add([]byte(clientPreface), byte(3))
	f.Add([]byte{0, 0, 4, 0, 8, 0, 0, 0, 1, 200, 1, 2, 3}, byte(1))
	f.Add([]byte{0, 0, 9, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 1, 6, 0, 0, 0, 0, 0, 7}, byte(2))
	f.Fuzz(func(t *testing.T, b []byte, piece byte) {
		whole, pieces := h2Parser{}, h2Parser{}
		want, got := whole.overhead(b), 0
		require.LessOrEqual(t, want, len(b))
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1+int(piece)%16)
			got += pieces.overhead(rest[:n])
			rest = rest[n:]
		}
		require.Equal(t, want, got)
	})
}

// messages is a stream that gives messages and ends.
type messages struct {
	grpc.ServerStream
	list [][]byte
}

func (m *messages) RecvMsg(to any) error {
	if len(m.list) == 0 {
		return io.EOF
	}
	b := m.list[0]
	m.list = m.list[1:]
	return Codec().Unmarshal(mem.BufferSlice{mem.SliceBuffer(b)}, to)
}

// FuzzPipe: frames are read correctly from messages of any sizes, including
// empty ones.
func FuzzPipe(f *testing.F) {
	f.Add([]byte("GNIE and so on"), []byte{0, 3, 1, 0, 0})
	f.Fuzz(func(t *testing.T, b, cuts []byte) {
		m := &messages{}
		rest := b
		for _, c := range cuts {
			n := min(int(c), len(rest))
			m.list, rest = append(m.list, rest[:n]), rest[n:]
		}
		m.list = append(m.list, rest)
		got, err := io.ReadAll(New(m, func() error { return nil }))
		require.NoError(t, err)
		require.Len(t, got, len(b))
		require.True(t, bytes.Equal(b, got))
	})
}
