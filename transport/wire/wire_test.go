package wire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memoryPipe stores what is written and returns what it is given.
type memoryPipe struct {
	bytes.Buffer
	frames int
}

func (p *memoryPipe) WriteBuffers(bufs [][]byte, _ *Hold) (n int, err error) {
	p.frames++
	for _, b := range bufs {
		k, _ := p.Write(b)
		n += k
	}
	return n, nil
}

func (p *memoryPipe) Close() error { return nil }

func random(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestMessages sends payloads of sizes around every boundary, in segments of
// any size, and receives them in segments of other sizes.
func TestMessages(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{0, 1, copyLimit, copyLimit + 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 5*ChunkSize + 7} {
		data := random(r, n)
		pipe := &memoryPipe{}
		ledger := &transport.Ledger{}
		c := NewConn(pipe, ledger)
		sent := 0
		m := &Message{
			Type: TypeRun, Stream: 7, Control: &wirepb.Run{Session: 3, Plan: 2}, Payload: split(r, data, plan.CauseKV),
			Sent: func(n int) { sent += n },
		}
		started, err := c.Send(t.Context(), m)
		require.NoError(t, err)
		require.True(t, started)
		require.Equal(t, n, sent)
		written := pipe.Len()
		got := make([]byte, n)
		sink := NewSink(split(r, got, plan.CauseLogits))
		for i := 0; ; i++ {
			h, control, err := c.Next()
			require.NoError(t, err)
			require.EqualValues(t, 7, h.Stream)
			if i == 0 {
				var run wirepb.Run
				require.NoError(t, proto.Unmarshal(control, &run))
				require.EqualValues(t, 3, run.GetSession())
				require.Equal(t, TypeRun, h.Type)
			} else {
				require.Equal(t, TypeData, h.Type)
			}
			bad, err := c.ReadPayload(h, sink, plan.CauseControl)
			require.NoError(t, bad)
			require.NoError(t, err)
			if !h.More() {
				break
			}
		}
		require.True(t, bytes.Equal(data, got))
		require.Zero(t, pipe.Len())
		s := ledger.Snapshot()
		require.EqualValues(t, written, s.Sent.Total())
		require.EqualValues(t, written, s.Received.Total())
		require.EqualValues(t, n, s.Sent[plan.CauseKV])
		require.EqualValues(t, n, s.Received[plan.CauseLogits])
	}
}

func split(r *rand.Rand, b []byte, c plan.Cause) (segs []Segment) {
	for len(b) > 0 {
		n := min(len(b), r.IntN(2*len(b)/3+2))
		segs = append(segs, Segment{Data: b[:n], Cause: c})
		b = b[n:]
	}
	return segs
}

func TestPayloadFaults(t *testing.T) {
	frame := func() *memoryPipe {
		pipe := &memoryPipe{}
		_, err := NewConn(pipe, nil).Send(t.Context(), &Message{Type: TypeRun, Stream: 1, Payload: []Segment{{Data: make([]byte, 5000)}}})
		require.NoError(t, err)
		return pipe
	}
	t.Run("checksum", func(t *testing.T) {
		pipe := frame()
		pipe.Bytes()[HeaderLen+9] ^= 1
		c := NewConn(pipe, nil)
		h, _, err := c.Next()
		require.NoError(t, err)
		bad, err := c.ReadPayload(h, NewSink([]Segment{{Data: make([]byte, 5000)}}), 0)
		require.NoError(t, err)
		require.ErrorIs(t, bad, transport.ErrCorrupt)
	})
	t.Run("too long for its sink", func(t *testing.T) {
		pipe := frame()
		c := NewConn(pipe, nil)
		h, _, err := c.Next()
		require.NoError(t, err)
		into := make([]byte, 4999)
		bad, err := c.ReadPayload(h, NewSink([]Segment{{Data: into}}), 0)
		require.NoError(t, err)
		require.ErrorIs(t, bad, transport.ErrProtocol)
		require.Zero(t, pipe.Len(), "it is read past")
	})
	t.Run("cut", func(t *testing.T) {
		whole := frame().Bytes()
		for _, n := range []int{1, 39, 40, 41, 5039} {
			pipe := &memoryPipe{}
			pipe.Write(whole[:n])
			c := NewConn(pipe, nil)
			h, _, err := c.Next()
			if err == nil {
				_, err = c.ReadPayload(h, nil, 0)
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "after %d", n)
		}
	})
}

func TestSendGivesUp(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		started, err := NewConn(&memoryPipe{}, nil).Send(ctx, &Message{Type: TypeRun})
		require.False(t, started)
		require.ErrorIs(t, err, context.Canceled)
	})
	t.Run("control too long", func(t *testing.T) {
		started, err := NewConn(&memoryPipe{}, nil).Send(t.Context(), &Message{
			Type: TypeError, Control: &wirepb.Error{Message: string(make([]byte, MaxControl))},
		})
		require.False(t, started)
		require.ErrorIs(t, err, transport.ErrLimit)
	})
	t.Run("between frames", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		m := &Message{Type: TypeRun, Payload: []Segment{{Data: make([]byte, 6*ChunkSize)}}, Sent: func(int) { cancel(cause) }}
		pipe := &memoryPipe{}
		started, err := NewConn(pipe, nil).Send(ctx, m)
		require.True(t, started)
		require.ErrorIs(t, err, cause)
		require.Equal(t, 1, pipe.frames)
	})
	t.Run("on a peer that does not read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a, b := net.Pipe()
			defer func() { _ = b.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c := NewConn(NewTCP(a, nil), nil)
			start := time.Now()
			_, err := c.Send(ctx, &Message{Type: TypeRun})
			require.Error(t, err)
			require.Equal(t, time.Second+StallTimeout, time.Since(start))
		})
	})
}

func FuzzFrameReader(f *testing.F) {
	pipe := &memoryPipe{}
	c := NewConn(pipe, nil)
	for _, m := range []*Message{
		{Type: TypeHello, Control: &wirepb.Hello{Version: 1}},
		{Type: TypeRun, Stream: 1, Control: &wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{1, 2}}, Payload: []Segment{{Data: []byte("payload")}}},
		{Type: TypeError, Flags: FlagAnswer, Stream: 2, Control: &wirepb.Error{Code: 1, Message: "no"}},
	} {
		_, err := c.Send(f.Context(), m)
		require.NoError(f, err)
		f.Add(bytes.Clone(pipe.Bytes()))
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add(append([]byte("GNIE\x01\x09\x00\x00"), bytes.Repeat([]byte{0xff}, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		pipe := &memoryPipe{}
		pipe.Write(b)
		c := NewConn(pipe, nil)
		at := 0
		for number := uint32(0); ; number++ {
			h, control, err := c.Next()
			if err != nil {
				require.True(t, framingError(err), "%v", err)
				break
			}
			h.number = number
			require.Equal(t, b[at:at+HeaderLen+len(control)], h.append(nil, control), "a frame has one form")
			at += HeaderLen + len(control)
			payload := make([]byte, h.Payload) // a frame's at most, which parseHeader has seen to
			bad, err := c.ReadPayload(h, NewSink([]Segment{{Data: payload}}), 0)
			if err != nil {
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				break
			}
			require.Equal(t, b[at:at+len(payload)], payload)
			at += len(payload)
			if bad != nil {
				require.ErrorIs(t, bad, transport.ErrCorrupt)
			}
		}
		require.LessOrEqual(t, cap(c.inControl), 2*MaxControl)
	})
}

// framingError reports whether a connection may end with err.
func framingError(err error) bool {
	for _, cause := range []error{
		io.EOF, io.ErrUnexpectedEOF, transport.ErrProtocol, transport.ErrVersion, transport.ErrLimit, transport.ErrCorrupt,
	} {
		if errors.Is(err, cause) {
			return true
		}
	}
	return false
}
