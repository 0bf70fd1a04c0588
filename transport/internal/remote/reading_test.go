package remote

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// scripted is a worker whose every byte a test decides.
type scripted struct {
	t    *testing.T
	conn net.Conn
	in   *wire.Conn
	out  *wire.Conn // into frame
	buf  []byte
}

// frames is a pipe that keeps what is written.
type frames struct{ s *scripted }

func (f frames) Read([]byte) (int, error) { return 0, io.EOF }
func (f frames) Close() error             { return nil }
func (f frames) WriteBuffers(bufs [][]byte, _ *wire.Hold) (n int, err error) {
	for _, b := range bufs {
		f.s.buf = append(f.s.buf, b...)
		n += len(b)
	}
	return n, nil
}

// script connects a client to a worker that does nothing by itself.
func script(t *testing.T) (*Client, *scripted) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	greeted := make(chan *scripted, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			greeted <- nil
			return
		}
		s := &scripted{t: t, conn: conn, in: wire.NewConn(wire.NewTCP(conn, nil), nil)}
		s.out = wire.NewConn(frames{s}, nil)
		_, _, _ = s.in.Next()
		_, _ = conn.Write(s.frame(wire.TypeHello, 0, &wirepb.Hello{Version: wire.Version}, nil))
		greeted <- s
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	c, err := Open(t.Context(), wire.NewTCP(conn, nil), Config{Addr: "tcp://scripted", Ledger: &transport.Ledger{}})
	require.NoError(t, err)
	s := <-greeted
	require.NotNil(t, s)
	t.Cleanup(func() {
		c.close()
		_ = s.conn.Close()
	})
	return c, s
}

// frame is the bytes of the worker's next frame.
func (s *scripted) frame(typ wire.Type, stream uint64, m proto.Message, payload []byte) []byte {
	s.buf = nil
	msg := &wire.Message{Type: typ, Flags: wire.FlagAnswer, Stream: stream, Control: m}
	if payload != nil {
		msg.Payload = []wire.Segment{{Data: payload}}
	}
	_, err := s.out.Send(context.Background(), msg)
	if err != nil {
		panic(err) // it goes into memory
	}
	return s.buf
}

// answer is the bytes of an answer to a call, which says its stream.
func (s *scripted) answer(stream uint64) []byte {
	return s.frame(wire.TypeRun, stream, &wirepb.Ran{ElapsedNs: stream}, nil)
}

// next is the type and the stream of the client's next frame but for heartbeats.
func (s *scripted) next() (wire.Type, uint64) {
	for {
		h, _, err := s.in.Next()
		require.NoError(s.t, err)
		if h.Type != wire.TypePing {
			return h.Type, h.Stream
		}
	}
}

func (s *scripted) write(b []byte) {
	_, err := s.conn.Write(b)
	require.NoError(s.t, err)
}

// ask makes a call, whose answer must be that to this call.
func ask(ctx context.Context, c *Client) error {
	var m wirepb.Ran
	r := &request{typ: wire.TypeRun, control: &wirepb.Run{}, answer: &m}
	err := c.call(ctx, r)
	if err == nil && m.GetElapsedNs() != r.stream.Load() {
		return transport.ErrCorrupt
	}
	return err
}

func asks(ctx context.Context, c *Client) chan error {
	outcome := make(chan error, 1)
	go func() { outcome <- ask(ctx, c) }()
	return outcome
}

// brisker makes calls until a caller reads its answer itself, and the next one will.
func brisker(t *testing.T, c *Client, s *scripted) {
	t.Helper()
	require.Eventually(t, func() bool {
		outcome := asks(t.Context(), c)
		_, stream := s.next()
		s.write(s.answer(stream))
		require.NoError(t, <-outcome)
		return !c.reading.taken.Load()
	}, 10*time.Second, 10*time.Microsecond)
}

// inCall makes a call that is read by its caller, and gives its stream.
func inCall(ctx context.Context, t *testing.T, c *Client, s *scripted) (outcome chan error, stream uint64) {
	t.Helper()
	for {
		brisker(t, c, s)
		before := c.reading.calls.Load()
		outcome = asks(ctx, c)
		_, stream = s.next()
		require.Eventually(t, func() bool { return c.reading.taken.Load() }, 10*time.Second, 10*time.Microsecond)
		if c.reading.calls.Load() > before { // the receiving goroutine was not quicker
			return outcome, stream
		}
		s.write(s.answer(stream))
		require.NoError(t, <-outcome)
	}
}

// TestReaderIsCancelled ends a call that reads for itself, in the middle of a frame,
// which the next reader takes whole.
func TestReaderIsCancelled(t *testing.T) {
	for _, tt := range []struct {
		name string
		part int // of the frame that has come when the call is cancelled
	}{{"before a frame", 0}, {"in the magic", 2}, {"in a header", 17}, {"after a header", wire.HeaderLen}, {"but for a byte", -1}} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := script(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			outcome, stream := inCall(ctx, t, c, s)
			answer := s.answer(stream)
			part := tt.part
			if part < 0 {
				part += len(answer)
			}
			s.write(answer[:part])
			cancel()
			typ, cancelled := s.next()
			require.Equal(t, wire.TypeCancel, typ)
			require.Equal(t, stream, cancelled)
			s.write(answer[part:])
			if err := <-outcome; err != nil { // nil as it had succeeded, unless the caller has waited too long for that
				require.ErrorIs(t, err, context.Canceled)
			}
			brisker(t, c, s)
		})
	}
}

// TestReaderIsAbandoned verifies that a silent worker blocks no caller.
func TestReaderIsAbandoned(t *testing.T) {
	c, s := script(t)
	ctx, cancel := context.WithCancel(t.Context())
	outcome, stream := inCall(ctx, t, c, s)
	answer := s.answer(stream)
	s.write(answer[:10])
	cancel()
	require.ErrorIs(t, <-outcome, context.Canceled)
	_, _ = s.next() // the Cancel
	s.write(answer[10:])
	brisker(t, c, s)
}

// TestReadersAnswerOthers verifies that a reading caller passes on what others
// wait for, and that they get their answers after it has left.
func TestReadersAnswerOthers(t *testing.T) {
	c, s := script(t)
	for _, first := range []bool{true, false} {
		ctx, cancel := context.WithCancel(t.Context())
		reader, stream := inCall(ctx, t, c, s)
		other := asks(t.Context(), c)
		_, another := s.next()
		if first {
			s.write(s.answer(another))
			require.NoError(t, <-other)
			s.write(s.answer(stream))
			require.NoError(t, <-reader)
		} else {
			cancel()
			require.ErrorIs(t, <-reader, context.Canceled)
			_, _ = s.next() // the Cancel
			s.write(s.answer(another))
			require.NoError(t, <-other)
			s.write(s.answer(stream))
		}
		cancel()
	}
	brisker(t, c, s)
}

// TestReaderLeavesLargeFrames brings more than a caller waits for in one piece.
func TestReaderLeavesLargeFrames(t *testing.T) {
	c, s := script(t)
	for range 5 {
		brisker(t, c, s)
		want := make([]byte, 1<<20)
		for i := range want {
			want[i] = byte(rand.Uint32())
		}
		got := make([]byte, len(want))
		r := &request{typ: wire.TypeRead, answer: &wirepb.Value{}, payloadOf: func() ([]wire.Segment, error) {
			return []wire.Segment{{Data: got, Cause: plan.CauseActivation}}, nil
		}}
		outcome := make(chan error, 1)
		go func() { outcome <- c.call(t.Context(), r) }()
		_, stream := s.next()
		s.write(s.frame(wire.TypeRead, stream, &wirepb.Value{}, want))
		require.NoError(t, <-outcome)
		require.Equal(t, want, got)
	}
}

// TestIdleConnectionIsRead verifies that the connection is read when no call
// waits: its end is noticed.
func TestIdleConnectionIsRead(t *testing.T) {
	c, s := script(t)
	brisker(t, c, s)
	require.NoError(t, s.conn.Close())
	select {
	case <-c.dead:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody reads")
	}
	require.ErrorIs(t, ask(t.Context(), c), transport.ErrUnreachable)
}

// TestReaderSeesTheEnd ends the connection during a caller's read.
func TestReaderSeesTheEnd(t *testing.T) {
	for _, part := range []int{0, 10} {
		c, s := script(t)
		outcome, stream := inCall(t.Context(), t, c, s)
		s.write(s.answer(stream)[:part])
		require.NoError(t, s.conn.Close())
		require.ErrorIs(t, <-outcome, transport.ErrUnreachable)
	}
}

// TestReadersTogether makes calls that end and are cancelled at any moment, of a
// worker whose answers come in pieces and in any order: each gets its own.
func TestReadersTogether(t *testing.T) {
	c, s := script(t)
	const callers, each = 4, 200
	var wg sync.WaitGroup
	for seed := range uint64(callers) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			for range each {
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if rng.IntN(4) == 0 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(rng.IntN(300))*time.Microsecond)
				}
				if err := ask(ctx, c); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		rng := rand.New(rand.NewPCG(1, 2))
		for {
			h, _, err := s.in.Next()
			if err != nil {
				return
			}
			if h.Type != wire.TypeRun {
				continue
			}
			b := s.answer(h.Stream)
			for len(b) > 0 {
				n := min(len(b), 1+rng.IntN(2*len(b)))
				if _, err := s.conn.Write(b[:n]); err != nil {
					return
				}
				b = b[n:]
			}
		}
	}()
	wg.Wait()
	require.NoError(t, ask(t.Context(), c))
	require.Positive(t, c.reading.calls.Load())
	c.close()
	<-ended
}
