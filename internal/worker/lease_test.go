package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

func leased(d time.Duration) func(*worker.Options) {
	return func(o *worker.Options) { o.Lease = d }
}

var aKey = bytes.Repeat([]byte{7}, 32)

// keyed opens session 1 under a key, with plan 1.
func (p *peer) keyed(key []byte) {
	p.t.Helper()
	require.NoError(p.t, p.join(key, false))
	p.plan()
}

func (p *peer) join(key []byte, resume bool) error {
	p.t.Helper()
	return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1, Key: key, Resume: resume}, nil, nil)
}

// add runs request seq, which adds to the carried sum, and gives the sum.
func (p *peer) add(seq uint64) ([]byte, error) {
	p.t.Helper()
	p.last++
	p.send(&wire.Message{
		Type: wire.TypeRun, Stream: p.last, Control: &wirepb.Run{Session: 1, Plan: 1, Seq: seq},
		Payload: []wire.Segment{{Data: floats(1, 1)}},
	})
	h, control, err := p.wc.Next()
	require.NoError(p.t, err)
	if h.Type == wire.TypeError {
		var e wirepb.Error
		require.NoError(p.t, proto.Unmarshal(control, &e))
		return nil, &transport.RemoteError{Code: e.GetCode(), Message: e.GetMessage()}
	}
	sum := make([]byte, 8)
	bad, err := p.wc.ReadPayload(h, wire.NewSink([]wire.Segment{{Data: sum}}), 0)
	require.NoError(p.t, bad)
	require.NoError(p.t, err)
	return sum, nil
}

func (p *peer) sum(seq uint64) []byte {
	p.t.Helper()
	b, err := p.add(seq)
	require.NoError(p.t, err)
	return b
}

// empty reports whether the worker holds no session any more.
func empty(w *workertest.Worker) func() bool {
	return func() bool { return w.Engine.Stats().Sessions == 0 }
}

// TestLease checks a session whose connection is lost.
func TestLease(t *testing.T) {
	t.Run("resumed", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.keyed(aKey)
		require.Equal(t, floats(101, 201), p.sum(1))
		require.NoError(t, p.wc.Close())
		require.Eventually(t, func() bool { return w.Server.Detached() == 1 }, 5*time.Second, time.Millisecond)
		require.EqualValues(t, 1, w.Engine.Stats().Sessions)
		q := greeted(t, w)
		require.NoError(t, q.join(aKey, true))
		require.Zero(t, w.Server.Detached())
		require.Equal(t, floats(202, 402), q.sum(2), "the state and the plan are there")
	})
	t.Run("resumed before its loss is noticed", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.keyed(aKey)
		p.sum(1)
		q := greeted(t, w)
		require.NoError(t, q.join(aKey, true))
		require.Equal(t, floats(202, 402), q.sum(2))
		_, _, err := p.wc.Next()
		require.Error(t, err, "the old connection is ended")
	})
	t.Run("resumed while it runs", func(t *testing.T) {
		began := make(chan struct{}, 2)
		w := hook(t, func(ctx context.Context) error {
			began <- struct{}{}
			if len(began) == 2 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		p := greeted(t, w)
		p.keyed(aKey)
		p.send(&wire.Message{
			Type: wire.TypeRun, Stream: 77, Control: &wirepb.Run{Session: 1, Plan: 1, Seq: 1}, Payload: []wire.Segment{{Data: floats(1, 1)}},
		})
		require.Eventually(t, func() bool { return len(began) == 1 }, 5*time.Second, time.Millisecond)
		q := greeted(t, w)
		require.NoError(t, q.join(aKey, true))
		require.Equal(t, floats(101, 201), q.sum(1), "what was stopped has changed nothing")
	})
	t.Run("opened twice", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		require.NoError(t, p.join(aKey, false)) // and its answer was lost
		q := greeted(t, w)
		require.NoError(t, q.join(aKey, false))
		require.EqualValues(t, 1, w.Engine.Stats().Sessions)
	})
	t.Run("lapsed", func(t *testing.T) {
		w := workertest.Start(t, leased(100*time.Millisecond))
		p := greeted(t, w)
		p.keyed(aKey)
		p.sum(1)
		require.NoError(t, p.wc.Close())
		require.Eventually(t, empty(w), 5*time.Second, time.Millisecond)
		require.Eventually(t, func() bool { return w.Engine.Stats().StateBytes == 0 && w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
		require.ErrorIs(t, greeted(t, w).join(aKey, true), transport.ErrSessionLost)
	})
	t.Run("too many wait", func(t *testing.T) {
		const most = 1024
		w := workertest.Start(t, nil)
		first, last := greeted(t, w), greeted(t, w)
		for i := range uint32(most + 1) {
			p := first
			if i == most {
				p = last
			}
			key := binary.BigEndian.AppendUint32(bytes.Clone(aKey), i)
			require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: i + 1, Key: key}, nil, nil))
		}
		require.NoError(t, first.wc.Close())
		require.Eventually(t, func() bool { return w.Server.Detached() == most }, 5*time.Second, time.Millisecond)
		require.Zero(t, w.Server.Meter().SessionsNotHeld.Load())
		require.NoError(t, last.wc.Close())
		require.Eventually(t, func() bool { return w.Server.Meter().SessionsNotHeld.Load() == 1 }, 5*time.Second, time.Millisecond)
		require.Equal(t, most, w.Server.Detached())
		require.Eventually(t, func() bool { return w.Engine.Stats().Sessions == most }, 5*time.Second, time.Millisecond)
	})
	t.Run("closed", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.keyed(aKey)
		require.NoError(t, p.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: 1}, nil, nil))
		require.Zero(t, w.Engine.Stats().Sessions)
		require.ErrorIs(t, p.join(aKey, true), transport.ErrSessionLost)
	})
	t.Run("without a key", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.session()
		require.NoError(t, p.wc.Close())
		require.Eventually(t, empty(w), 5*time.Second, time.Millisecond)
	})
	t.Run("of a worker that ends", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.keyed(aKey)
		require.NoError(t, p.wc.Close())
		require.Eventually(t, func() bool { return w.Server.Detached() == 1 }, 5*time.Second, time.Millisecond)
		require.NoError(t, w.Close()) // and nothing is left: goleak
	})
	t.Run("of others", func(t *testing.T) {
		w := workertest.Start(t, nil)
		p := greeted(t, w)
		p.keyed(aKey)
		for name, key := range map[string][]byte{"another": bytes.Repeat([]byte{8}, 32), "a part": aKey[:16], "longer": append(bytes.Clone(aKey), 7)} {
			require.ErrorIs(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 9, Key: key, Resume: true}, nil, nil), transport.ErrSessionLost, name)
		}
		for name, key := range map[string][]byte{"short": aKey[:15], "long": make([]byte, 65)} {
			require.ErrorIs(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 9, Key: key}, nil, nil), transport.ErrProtocol, name)
		}
		p.sum(1)
	})
}

// TestOnce verifies that a numbered request is done once, whatever is lost.
func TestOnce(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.keyed(aKey)
	require.Equal(t, floats(101, 201), p.sum(1))
	require.Equal(t, floats(101, 201), p.sum(1), "the same answer, and no second addition")
	require.NoError(t, p.wc.Close())
	p = greeted(t, w)
	require.NoError(t, p.join(aKey, true))
	require.Equal(t, floats(101, 201), p.sum(1), "on another connection too")
	require.Equal(t, floats(202, 402), p.sum(2))
	_, err := p.add(1)
	require.ErrorIs(t, err, transport.ErrSessionLost, "too old to be known")
	require.Equal(t, floats(303, 603), p.sum(5), "numbers may be left out")

	reset := func() error {
		return p.ask(wire.TypeReset, &wirepb.Reset{Session: 1, Seq: 6}, nil, nil)
	}
	require.NoError(t, reset())
	require.Equal(t, floats(101, 201), p.sum(7))
	require.ErrorIs(t, reset(), transport.ErrSessionLost, "a Reset that comes late does not undo")
	require.Equal(t, floats(202, 402), p.sum(8))
	_, err = p.add(0)
	require.NoError(t, err, "a request without a number is done each time")
	require.Equal(t, floats(404, 804), p.sum(9))
}

// TestSilentClient verifies that a client that is silent is given up: one that
// promised a heartbeat after the silence, one that did not after the lease.
func TestSilentClient(t *testing.T) {
	for name, tt := range map[string]struct {
		asks uint32
		opts func(*worker.Options)
	}{
		"with a heartbeat": {100, func(o *worker.Options) { o.Silence, o.Lease = 100*time.Millisecond, 200*time.Millisecond }},
		"without":          {0, func(o *worker.Options) { o.Lease = 100 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			w := workertest.Start(t, tt.opts)
			p := newPeer(t, w)
			p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, HeartbeatMs: tt.asks}})
			p.next()
			require.NoError(t, p.join(aKey, false))
			require.EqualValues(t, 1, w.Engine.Stats().Sessions)
			// The connection stays open and silent.
			require.Eventually(t, empty(w), 5*time.Second, time.Millisecond)
		})
	}
}

// TestHeartbeatRenews holds a session well beyond its lease by pings alone.
func TestHeartbeatRenews(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.Silence, o.Lease = 100*time.Millisecond, 150*time.Millisecond })
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, HeartbeatMs: 100}})
	p.next()
	p.keyed(aKey)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 25 {
		<-tick.C
		p.send(&wire.Message{Type: wire.TypePing})
	}
	require.EqualValues(t, 1, w.Engine.Stats().Sessions)
	require.Zero(t, w.Server.Detached())
}

// TestSlowLoris verifies that clients that send a byte now and then keep no
// other client from working, and that one that never sends a Hello is ended.
func TestSlowLoris(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { o.MaxConns = 40 })
	watch := newBystander(t, w)
	watch.check()
	// An answer may arrive before the memory of its inputs is released.
	var staged int64
	require.Eventually(t, func() bool {
		staged = w.Server.Staged()
		return staged <= int64(os.Getpagesize())
	}, 5*time.Second, time.Millisecond)
	hello := frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	run := frameOf(t, 1, &wire.Message{Type: wire.TypeRun, Stream: 1, Control: &wirepb.Run{Session: 1, Plan: 1}, Payload: []wire.Segment{{Data: floats(1, 1)}}})
	for i := range 30 {
		c, err := net.Dial("tcp", w.TCP)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		sent := hello[:1+i]
		if i%2 == 0 {
			sent = append(bytes.Clone(hello), run[:1+i]...)
		}
		for at := range sent {
			_, err := c.Write(sent[at : at+1])
			require.NoError(t, err)
		}
		watch.check()
	}
	require.Eventually(t, func() bool { return w.Server.Staged() == staged }, 5*time.Second, 5*time.Millisecond, "half a header takes no memory")
	require.EqualValues(t, 1, w.Engine.Stats().Sessions)
}

// TestHelloInTime verifies that a client that takes its time to say hello is
// ended.
func TestHelloInTime(t *testing.T) {
	if testing.Short() {
		t.Skip("takes the ten seconds that a hello may take; run without -short")
	}
	t.Parallel()
	w := workertest.Start(t, nil)
	c, err := net.Dial("tcp", w.TCP)
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	ended := make(chan error, 1)
	begin := time.Now()
	go func() {
		_, err := c.Read(make([]byte, 1))
		ended <- err
	}()
	hello := frameOf(t, 0, &wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version}})
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for at := range hello {
		select {
		case err := <-ended:
			require.Error(t, err)
			require.GreaterOrEqual(t, time.Since(begin), wire.HandshakeTimeout-100*time.Millisecond) // the worker's clock began earlier
			return
		case <-tick.C:
			_, _ = c.Write(hello[at : at+1])
		}
	}
	require.Fail(t, "it was let in")
}
