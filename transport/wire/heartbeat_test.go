package wire

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// pair is two ends of a connection in memory.
func pair(t *testing.T) (a, b *Conn) {
	x, y := net.Pipe()
	a, b = NewConn(NewTCP(x, nil), nil), NewConn(NewTCP(y, nil), nil)
	t.Cleanup(func() {
		_ = a.Close()
		_ = b.Close()
	})
	return a, b
}

// listen reads frames until the connection ends, and counts pings.
func listen(c *Conn) (pings func() int, done <-chan struct{}) {
	var n atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			h, _, err := c.Next()
			if err != nil {
				return
			}
			if h.Type == TypePing {
				n.Add(1)
			}
			if _, err := c.ReadPayload(h, nil, 0); err != nil {
				return
			}
		}
	}()
	return func() int {
		synctest.Wait()
		return int(n.Load())
	}, ended
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func beat(ctx context.Context, c *Conn, h Heart) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Beat(ctx, h) }()
	return done
}

// TestSilentPeer holds how long a peer may be silent.
func TestSilentPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		_, ended := listen(a)
		start := time.Now()
		err := <-beat(t.Context(), a, Heart{Silence: Silence})
		require.ErrorIs(t, err, transport.ErrUnreachable)
		took := time.Since(start)
		require.GreaterOrEqual(t, took, Silence)
		require.Less(t, took, Silence+Silence/4)
		_ = b.Close()
		<-ended
	})
}

// TestHeartbeats verifies that two sides that have nothing to say keep each
// other sure for hours, and that pings go into silence alone.
func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		pingsOfB, endA := listen(a)
		pingsOfA, endB := listen(b)
		ctx, cancel := context.WithCancel(t.Context())
		h := Heart{Every: EveryMillis(HeartbeatMillis(Silence)), Silence: Silence}
		beatA, beatB := beat(ctx, a, h), beat(ctx, b, h)
		pass(time.Hour)
		require.Greater(t, pingsOfA(), 2300)
		require.Less(t, pingsOfA(), 3601)
		require.Greater(t, pingsOfB(), 2300)
		// A sends: its pings stop. B has nothing to send.
		before, beforeB := pingsOfA(), pingsOfB()
		for range 1000 {
			pass(300 * time.Millisecond)
			_, err := a.Send(ctx, &Message{Type: TypeStats, Stream: 1})
			require.NoError(t, err)
		}
		require.LessOrEqual(t, pingsOfA()-before, 1)
		require.Greater(t, pingsOfB()-beforeB, 190)
		cancel()
		require.NoError(t, <-beatA)
		require.NoError(t, <-beatB)
		_, _ = a.Close(), b.Close()
		<-endA
		<-endB
	})
}

// TestSlowFrameIsLife verifies that a frame that arrives slowly does not count
// as silence.
func TestSlowFrameIsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := net.Pipe()
		a, b := NewConn(NewTCP(x, nil), nil), NewConn(NewTCP(slowly{y}, nil), nil)
		_, ended := listen(a)
		ctx, cancel := context.WithCancel(t.Context())
		heart := beat(ctx, a, Heart{Silence: Silence})
		start := time.Now()
		_, err := b.Send(ctx, &Message{Type: TypeRun, Stream: 1, Payload: []Segment{{Data: make([]byte, 60*slowPiece)}}})
		require.NoError(t, err)
		require.Greater(t, time.Since(start), 10*Silence)
		select {
		case err := <-heart:
			require.Fail(t, "given up", "%v", err)
		default:
		}
		cancel()
		require.NoError(t, <-heart)
		_, _ = a.Close(), b.Close()
		<-ended
	})
}

// TestDamagedLength verifies that heartbeats mistaken for the rest of a frame,
// whose length was damaged, are not signs of life.
func TestDamagedLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		_, ended := listen(a)
		ctx, cancel := context.WithCancel(t.Context())
		_, endB := listen(b)
		h := Heart{Every: EveryMillis(HeartbeatMillis(Silence)), Silence: Silence}
		beatA, beatB := beat(ctx, a, h), beat(ctx, b, Heart{Every: h.Every})
		pass(time.Minute)
		<-b.lock
		head := Header{Type: TypeStats, Stream: 1}.append(nil, nil)
		binary.LittleEndian.PutUint64(head[16:], MaxControl/2)
		_, err := b.pipe.WriteBuffers([][]byte{head}, nil)
		b.lock <- struct{}{}
		require.NoError(t, err)
		start := time.Now()
		require.ErrorIs(t, <-beatA, transport.ErrUnreachable)
		require.Less(t, time.Since(start), 2*Silence)
		cancel()
		require.NoError(t, <-beatB)
		_, _ = a.Close(), b.Close()
		<-ended
		<-endB
	})
}

const slowPiece = 1 << 10

// slowly writes a piece each second.
type slowly struct{ net.Conn }

func (c slowly) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		pass(time.Second)
		k, err := c.Conn.Write(b[:min(len(b), slowPiece)])
		n += k
		if err != nil {
			return n, err
		}
		b = b[k:]
	}
	return n, nil
}

// TestFrameNumbers verifies that a frame that is lost, doubled or out of its
// place is noticed at the next one.
func TestFrameNumbers(t *testing.T) {
	frames := make([][]byte, 3)
	pipe := &memoryPipe{}
	c := NewConn(pipe, nil)
	for i := range frames {
		_, err := c.Send(t.Context(), &Message{Type: TypeStats, Stream: 1})
		require.NoError(t, err)
		frames[i] = append([]byte(nil), pipe.Bytes()...)
		pipe.Reset()
	}
	for name, tt := range map[string]struct {
		order []int
		good  int
	}{
		"in order": {[]int{0, 1, 2}, 3}, "lost": {[]int{0, 2}, 1}, "doubled": {[]int{0, 0}, 1}, "swapped": {[]int{1, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			pipe := &memoryPipe{}
			for _, i := range tt.order {
				pipe.Write(frames[i])
			}
			c := NewConn(pipe, nil)
			for range tt.good {
				_, _, err := c.Next()
				require.NoError(t, err)
			}
			if tt.good < len(tt.order) {
				_, _, err := c.Next()
				require.ErrorIs(t, err, transport.ErrCorrupt)
			}
		})
	}
}

// TestLeastBeat asks for more heartbeats than a peer gives.
func TestLeastBeat(t *testing.T) {
	require.Zero(t, EveryMillis(0))
	require.Equal(t, minBeat, EveryMillis(1))
	require.Equal(t, minBeat+time.Millisecond, EveryMillis(uint32(minBeat.Milliseconds())+1))
}
