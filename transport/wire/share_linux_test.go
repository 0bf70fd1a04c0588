package wire

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/shared"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// sharing is two connected ends that share memory, with their ledgers.
type sharing struct {
	a, b             *Conn
	memoryA, memoryB *shared.Memory
	ledgerA, ledgerB *transport.Ledger
}

func newSharing(t *testing.T) *sharing {
	t.Helper()
	offer, err := shared.Listen()
	require.NoError(t, err)
	s := &sharing{ledgerA: &transport.Ledger{}, ledgerB: &transport.Ledger{}}
	var proof []byte
	s.memoryA, proof, err = shared.Present(t.Context(), offer.Name(), shared.MinRing)
	require.NoError(t, err)
	s.memoryB = offer.Close(proof)
	require.NotNil(t, s.memoryB)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	nc, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	other, err := l.Accept()
	require.NoError(t, err)
	s.a, s.b = NewConn(NewTCP(nc, s.ledgerA), s.ledgerA), NewConn(NewTCP(other, s.ledgerB), s.ledgerB)
	s.a.Share(s.memoryA)
	s.b.Share(s.memoryB)
	t.Cleanup(func() {
		_ = s.a.Close()
		_ = s.b.Close()
	})
	return s
}

// take receives one frame at b into a sink of n bytes.
func (s *sharing) take(t *testing.T, n int) (data []byte, bad error) {
	t.Helper()
	h, _, err := s.b.Next()
	require.NoError(t, err)
	data = make([]byte, n)
	bad, err = s.b.ReadPayload(h, NewSink([]Segment{{Data: data, Cause: plan.CauseKV}}), plan.CauseControl)
	require.NoError(t, err)
	return data, bad
}

// TestSharedPayloads sends messages around every boundary, in parts of any size:
// they arrive as over a socket, and both ledgers count them so.
func TestSharedPayloads(t *testing.T) {
	s := newSharing(t)
	r := rand.New(rand.NewPCG(3, 4))
	throughMemory, all := 0, 0
	for _, n := range []int{0, 1, copyLimit + 1, SharedFrom - 1, SharedFrom, ChunkSize, ChunkSize + 1, ChunkSize + SharedFrom, 7*ChunkSize + 5} {
		data := random(r, n)
		cut := r.IntN(n + 1)
		ended := make(chan error, 1)
		go func() {
			_, err := s.a.Send(context.Background(), &Message{Type: TypeRun, Stream: 1, Payload: []Segment{
				{Data: data[:cut], Cause: plan.CauseToken}, {Data: data[cut:], Cause: plan.CauseActivation},
			}})
			ended <- err
		}()
		got := make([]byte, n)
		sink := NewSink([]Segment{{Data: got[:n/3], Cause: plan.CauseToken}, {Data: got[n/3:], Cause: plan.CauseActivation}})
		for more := true; more; {
			h, _, err := s.b.Next()
			require.NoError(t, err)
			require.Equal(t, h.Payload >= SharedFrom, h.Flags&FlagShared != 0, "%d bytes", h.Payload)
			if h.Flags&FlagShared != 0 {
				throughMemory += int(h.Payload)
			}
			bad, err := s.b.ReadPayload(h, sink, plan.CauseControl)
			require.NoError(t, errors.Join(bad, err))
			more = h.More()
		}
		require.NoError(t, <-ended)
		require.Equal(t, data, got)
		all += n
	}
	a, b := s.ledgerA.Snapshot(), s.ledgerB.Snapshot()
	require.EqualValues(t, throughMemory, a.SharedSent)
	require.EqualValues(t, throughMemory, b.SharedReceived)
	require.Equal(t, a.Sent.Total(), a.SocketSent)
	require.Equal(t, b.Received.Total(), b.SocketReceived)
	require.Equal(t, a.SocketSent, b.SocketReceived)
	require.EqualValues(t, all, a.Sent[plan.CauseToken]+a.Sent[plan.CauseActivation])
	require.EqualValues(t, all, b.Received[plan.CauseToken]+b.Received[plan.CauseActivation])
}

// TestSharedPayloadChanged changes bytes in the memory before they are read: the
// checksum of the copy finds it, and the connection stays.
func TestSharedPayloadChanged(t *testing.T) {
	s := newSharing(t)
	for range 3 {
		_, err := s.a.put([]Segment{{Data: make([]byte, SharedFrom)}})
		require.NoError(t, err)
		h := Header{Type: TypeRun, Flags: FlagShared, Stream: 1, Payload: SharedFrom, payloadCRC: 12345, number: s.a.sent.Add(1) - 1}
		_, err = s.a.pipe.WriteBuffers([][]byte{h.append(nil, nil)}, nil)
		require.NoError(t, err)
		_, bad := s.take(t, SharedFrom)
		require.ErrorIs(t, bad, transport.ErrCorrupt)
	}
	data := random(rand.New(rand.NewPCG(5, 6)), SharedFrom)
	_, err := s.a.Send(t.Context(), &Message{Type: TypeRun, Stream: 2, Payload: []Segment{{Data: data}}})
	require.NoError(t, err)
	got, bad := s.take(t, len(data))
	require.NoError(t, bad)
	require.Equal(t, data, got)
}

// TestForgedSharedFrames announces payloads that are not in shared memory.
func TestForgedSharedFrames(t *testing.T) {
	frame := func(h Header) io.Reader {
		pipe := &memoryPipe{}
		_, _ = pipe.Write(h.append(nil, nil))
		return &pipe.Buffer
	}
	for name, h := range map[string]Header{
		"no memory":       {Type: TypeRun, Flags: FlagShared, Stream: 1, Payload: SharedFrom},
		"no memory, none": {Type: TypeRun, Flags: FlagShared, Stream: 1},
		"before Hello":    {Type: TypeHello, Flags: FlagShared, Payload: 1},
	} {
		pipe := &memoryPipe{}
		_, _ = io.Copy(pipe, frame(h))
		_, _, err := NewConn(pipe, nil).Next()
		require.ErrorIs(t, err, transport.ErrProtocol, name)
	}
	s := newSharing(t)
	h := Header{Type: TypeRun, Flags: FlagShared, Stream: 1, Payload: shared.MinRing + 1}
	_, err := s.a.pipe.WriteBuffers([][]byte{h.append(nil, nil)}, nil)
	require.NoError(t, err)
	_, _, err = s.b.Next()
	require.ErrorIs(t, err, transport.ErrProtocol)
}

// TestSharedMemoryFull has a reader that does not read: what waits for room lets
// other frames go first, and can be given up without a trace.
func TestSharedMemoryFull(t *testing.T) {
	s := newSharing(t)
	big := func(ctx context.Context, stream uint64) (bool, error) {
		return s.a.Send(ctx, &Message{Type: TypeRun, Stream: stream, Payload: []Segment{{Data: make([]byte, ChunkSize), Cause: plan.CauseKV}}})
	}
	for i := range 2 { // as many as there is room for
		_, err := big(t.Context(), uint64(i+1))
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	type result struct {
		started bool
		err     error
	}
	waits := make(chan result, 1)
	go func() {
		started, err := big(ctx, 3)
		waits <- result{started, err}
	}()
	_, err := s.a.Send(t.Context(), &Message{Type: TypeCancel, Stream: 1})
	require.NoError(t, err)
	cancel()
	got := <-waits
	require.ErrorIs(t, got.err, context.Canceled)
	require.False(t, got.started)
	for range 2 {
		_, bad := s.take(t, ChunkSize)
		require.NoError(t, bad)
	}
	_, bad := s.take(t, 0)
	require.NoError(t, bad)
	_, err = big(t.Context(), 4)
	require.NoError(t, err)
	_, bad = s.take(t, ChunkSize)
	require.NoError(t, bad)
	require.Equal(t, s.ledgerA.Snapshot().Sent, s.ledgerB.Snapshot().Received)
}

// TestSharedMemoryClosed ends the connection while a sender waits for room.
func TestSharedMemoryClosed(t *testing.T) {
	s := newSharing(t)
	ended := make(chan error, 1)
	go func() {
		_, err := s.a.Send(context.Background(), &Message{Type: TypeRun, Stream: 1, Payload: []Segment{{Data: make([]byte, 4*shared.MinRing)}}})
		ended <- err
	}()
	_, _, err := s.b.Next() // it has begun
	require.NoError(t, err)
	require.NoError(t, s.a.Close())
	select {
	case err := <-ended:
		require.ErrorIs(t, err, transport.ErrClosed)
	case <-time.After(30 * time.Second):
		t.Fatal("the sender waits")
	}
}

// TestLyingReader says that it took what was not sent: the connection ends.
func TestLyingReader(t *testing.T) {
	s := newSharing(t)
	require.NoError(t, s.memoryB.Skip(1)) // says so
	_, err := s.a.Send(t.Context(), &Message{Type: TypeRun, Stream: 1, Payload: []Segment{{Data: make([]byte, SharedFrom)}}})
	require.ErrorIs(t, err, transport.ErrProtocol)
	_, err = s.a.Send(t.Context(), &Message{Type: TypePing})
	require.ErrorIs(t, err, transport.ErrClosed)
}

// TestShareAfterClose: memory that comes too late is freed.
func TestShareAfterClose(t *testing.T) {
	c := NewConn(&memoryPipe{}, nil)
	require.NoError(t, c.Close())
	offer, err := shared.Listen()
	require.NoError(t, err)
	m, proof, err := shared.Present(t.Context(), offer.Name(), shared.MinRing)
	require.NoError(t, err)
	offer.Close(proof).Close()
	c.Share(m)
	_, err = m.Room()
	require.Error(t, err)
}

// TestDirect: only a connection of the system within this machine shares memory.
func TestDirect(t *testing.T) {
	a, b := net.Pipe()
	defer func() { _, _ = a.Close(), b.Close() }()
	require.Empty(t, Direct(a))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.Equal(t, c.LocalAddr().String(), Direct(c))
	require.Empty(t, Direct(struct{ net.Conn }{c}))
}
