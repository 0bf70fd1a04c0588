package worker_test

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestControlLimit sends control messages of the largest length and one byte
// more. An unknown field pads them.
func TestControlLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	long := func(n int) *wirepb.Reset {
		head := protowire.AppendTag(nil, 100, protowire.BytesType)
		body := make([]byte, n-len(head)-3-2) // three bytes of length, two of the session
		m := &wirepb.Reset{Session: 9}
		m.ProtoReflect().SetUnknown(protowire.AppendBytes(head, body))
		return m
	}
	p := greeted(t, w)
	require.ErrorIs(t, p.ask(wire.TypeReset, long(wire.MaxControl), nil, nil), transport.ErrClosed, "read, and about no session")
	frame := frameOf(t, 2, &wire.Message{Type: wire.TypeReset, Stream: 2})
	_, err := p.conn.Write(rewriteLength(frame, 16, wire.MaxControl+1))
	require.NoError(t, err)
	p.ended(transport.ErrLimit)
}

// TestNesting nests unknown groups as deep as protobuf reads them.
func TestNesting(t *testing.T) {
	w := workertest.Start(t, nil)
	nested := func(n int) *wirepb.Reset {
		var b []byte
		for range n {
			b = protowire.AppendTag(b, 100, protowire.StartGroupType)
		}
		for range n {
			b = protowire.AppendTag(b, 100, protowire.EndGroupType)
		}
		m := &wirepb.Reset{Session: 9}
		m.ProtoReflect().SetUnknown(b)
		return m
	}
	p := greeted(t, w)
	require.ErrorIs(t, p.ask(wire.TypeReset, nested(protowire.DefaultRecursionLimit), nil, nil), transport.ErrClosed, "exactly as deep")
	require.ErrorIs(t, p.ask(wire.TypeReset, nested(protowire.DefaultRecursionLimit+2), nil, nil), transport.ErrProtocol)
	require.NoError(t, p.ask(wire.TypeStats, nil, nil, nil), "the connection stays usable")
}

// TestFramePayloadLimit sends the largest frame, and announces one that is
// larger.
func TestFramePayloadLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	pl := growing(1, false, plan.Retain)
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := pl.Hash()
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
	run := &wire.Message{
		Type: wire.TypeRun, Stream: 90, Control: &wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{0, wire.MaxFramePayload / 4}},
	}
	head := frameOf(t, 3, run)
	payload := make([]byte, wire.MaxFramePayload)
	_, err = p.conn.Write(withPayload(3, head, payload))
	require.NoError(t, err)
	require.NoError(t, p.answer(90, wire.TypeRun, nil))
	_, err = p.conn.Write(rewriteLength(frameOf(t, 4, run), 24, wire.MaxFramePayload+1))
	require.NoError(t, err)
	p.ended(transport.ErrLimit)
}

// withPayload gives a connection's frame number a payload, however long.
func withPayload(number uint32, frame, payload []byte) []byte {
	binary.LittleEndian.PutUint64(frame[24:], uint64(len(payload)))
	binary.LittleEndian.PutUint32(frame[32:], crc32.Checksum(payload, crc32.MakeTable(crc32.Castagnoli)))
	return append(rewrite(number, frame, 6, frame[6]), payload...)
}

func TestMessageLimit(t *testing.T) {
	const limit = 64 << 10
	w := workertest.Start(t, func(o *worker.Options) { o.MaxMessage, o.MaxStaging = limit, 16*limit })
	run := func(s transport.Session, ref transport.PlanRef, past, n int) error {
		_, err := s.Run(t.Context(), transport.Call{
			Plan: ref, Bindings: []int{past, n}, Inputs: []transport.Input{{Data: make([]byte, 4*n)}},
		})
		return err
	}
	for _, opts := range [][]tcp.Option{nil, {tcp.WithMaxMessage(limit)}} { // the worker refuses, the client does
		ex, err := tcp.Dial(t.Context(), w.TCP, opts...)
		require.NoError(t, err)
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		ref, err := s.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
		require.NoError(t, err)
		require.NoError(t, run(s, ref, 0, limit/4), "exactly at the limit")
		require.ErrorIs(t, run(s, ref, limit/4, limit/4+1), transport.ErrLimit)
		require.NoError(t, ex.Close())
	}
}

func TestStagingLimit(t *testing.T) {
	const limit = 64 << 10
	w := workertest.Start(t, func(o *worker.Options) { o.MaxStaging = limit })
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	run := func(n int) error {
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		ref, err := s.Prepare(t.Context(), growing(1, false, plan.Download), nil, nil)
		require.NoError(t, err)
		// The memory of the plan is released once its answer is sent.
		require.Eventually(t, func() bool { return w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
		_, err = s.Run(t.Context(), transport.Call{Plan: ref, Bindings: []int{0, n}, Inputs: []transport.Input{{Data: make([]byte, 4*n)}}})
		return err
	}
	require.NoError(t, run(limit/4), "exactly at the limit")
	require.ErrorIs(t, run(limit/4+1), transport.ErrLimit)
}

// TestTensorLimit binds a plan so that a tensor is larger than can be counted,
// or than a run may take.
func TestTensorLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	ex, err := tcp.Dial(t.Context(), w.TCP)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	p := greeted(t, w)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	pl := growing(1, false, plan.Download)
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := pl.Hash()
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
	run := func(past, n uint64) error {
		p.last++
		p.send(&wire.Message{
			Type: wire.TypeRun, Stream: p.last, Open: true,
			Control: &wirepb.Run{Session: 1, Plan: 1, Bindings: []uint64{past, n}, Bytes: 4 * n},
		})
		return p.answer(p.last, wire.TypeRun, nil)
	}
	require.ErrorIs(t, run(0, plan.MaxDimSize+1), transport.ErrShape)
	require.ErrorIs(t, run(0, plan.MaxDimSize/4+1), transport.ErrLimit, "bytes of a tensor")
	require.ErrorIs(t, run(0, plan.MaxDimSize/4), transport.ErrLimit, "a tensor that is counted, of a message that is too long")
	require.ErrorIs(t, run(0, 8<<30/4*2+1), transport.ErrLimit)
}

func TestSessionLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	for i := range wire.MaxSessions {
		require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: uint32(i + 1)}, nil, nil))
	}
	over := &wirepb.OpenSession{Session: wire.MaxSessions + 1}
	require.ErrorIs(t, p.ask(wire.TypeOpenSession, over, nil, nil), transport.ErrLimit)
	require.NoError(t, p.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: 1}, nil, nil))
	require.NoError(t, p.ask(wire.TypeOpenSession, over, nil, nil))
}

func TestPlanLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	pl, _ := counter()
	h := pl.Hash()
	prepare := func(num int) error {
		return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: uint32(num), Hash: h[:]}, nil, nil)
	}
	for num := 2; num <= wire.MaxPlans; num++ {
		require.NoError(t, prepare(num))
	}
	require.ErrorIs(t, prepare(wire.MaxPlans+1), transport.ErrLimit)
	require.NoError(t, prepare(1), "one that is there")
}

// stalled is a peer with sessions whose runs wait for finish.
func stalled(t *testing.T, sessions int) (p *peer, began chan struct{}, finish func()) {
	t.Helper()
	began, held := make(chan struct{}, 4096), make(chan struct{})
	w := hook(t, func(context.Context) error {
		began <- struct{}{}
		<-held
		return nil
	})
	p = greeted(t, w)
	p.session()
	pl, _ := counter()
	h := pl.Hash()
	for num := 2; num <= sessions; num++ {
		require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: uint32(num)}, nil, nil))
		require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: uint32(num), Plan: 1, Hash: h[:]}, nil, nil))
	}
	finish = sync.OnceFunc(func() { close(held) })
	t.Cleanup(finish)
	return p, began, finish
}

// runs sends n runs of a session and waits for none.
func (p *peer) runs(session, n int) {
	p.t.Helper()
	for range n {
		p.last++
		p.send(&wire.Message{
			Type: wire.TypeRun, Stream: p.last, Control: &wirepb.Run{Session: uint32(session), Plan: 1},
			Payload: []wire.Segment{{Data: floats(0, 0)}},
		})
	}
}

// TestQueueLimit lets one run continue and as many wait as a session's queue
// holds.
func TestQueueLimit(t *testing.T) {
	p, began, finish := stalled(t, 1)
	p.runs(1, 1)
	<-began
	p.runs(1, worker.QueueLen)
	p.runs(1, 1)
	require.ErrorIs(t, p.answer(p.last, 0, nil), transport.ErrOverloaded)
	finish()
	for range worker.QueueLen + 1 {
		h, _ := p.next()
		require.Equal(t, wire.TypeRun, h.Type)
	}
}

// TestStreamLimit lets as many requests wait as a connection may have.
func TestStreamLimit(t *testing.T) {
	const each = 200
	p, began, finish := stalled(t, wire.MaxStreams/each+1)
	for left, session := wire.MaxStreams, 1; left > 0; session++ {
		n := min(left, each)
		p.runs(session, n)
		left -= n
		<-began
	}
	p.runs(1, 1)
	require.ErrorIs(t, p.answer(p.last, 0, nil), transport.ErrLimit)
	finish()
	for range wire.MaxStreams {
		h, _ := p.next()
		require.Equal(t, wire.TypeRun, h.Type)
	}
	p.works()
}

// TestConnectionLimit takes as many connections as there may be, over both
// transports, and no more; one that ends makes room.
func TestConnectionLimit(t *testing.T) {
	for way, dial := range dialers {
		t.Run(way, func(t *testing.T) {
			w := workertest.Start(t, func(o *worker.Options) { o.MaxConns = 2 })
			first, err := dial(t.Context(), w, nil)
			require.NoError(t, err)
			second, err := dial(t.Context(), w, nil)
			require.NoError(t, err)
			defer func() { _ = second.Close() }()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err = dial(ctx, w, nil)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			require.NoError(t, first.Close())
			require.Eventually(t, func() bool {
				ex, err := dial(t.Context(), w, nil)
				if err == nil {
					_ = ex.Close()
				}
				return err == nil
			}, 5*time.Second, 5*time.Millisecond)
		})
	}
}

func TestLoopLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	loop := func(runs, credit uint32) *wirepb.Loop {
		return &wirepb.Loop{
			Run: &wirepb.Run{Session: 1, Plan: 1}, Inputs: []*wirepb.LoopInput{{}}, Limits: []uint32{runs}, Credit: credit,
		}
	}
	require.ErrorIs(t, p.ask(wire.TypeLoop, loop(transport.MaxLoopRuns+1, 1), floats(0, 0), nil), transport.ErrLimit)
	err := p.ask(wire.TypeLoop, loop(transport.MaxLoopRuns, 1), floats(0, 0), nil)
	require.Error(t, err)
	require.NotErrorIs(t, err, transport.ErrLimit, "exactly as many are refused for another reason: the output is no token")
	require.ErrorIs(t, p.ask(wire.TypeLoop, loop(1, transport.MaxLoopRuns+1), floats(0, 0), nil), transport.ErrProtocol)
	stops := loop(1, 1)
	stops.Stop = make([]int32, transport.MaxLoopStop)
	err = p.ask(wire.TypeLoop, stops, floats(0, 0), nil)
	require.NotErrorIs(t, err, transport.ErrLimit, "exactly as many")
	stops.Stop = make([]int32, transport.MaxLoopStop+1)
	require.ErrorIs(t, p.ask(wire.TypeLoop, stops, floats(0, 0), nil), transport.ErrLimit)
	p.works()
}

// TestModelNameLimit names a model with the longest name, and one longer.
func TestModelNameLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	pl, _ := counter()
	h := pl.Hash()
	prepare := func(model string) error {
		return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: h[:], Model: model}, nil, nil)
	}
	require.NoError(t, prepare(strings.Repeat("m", plan.MaxNameLen)))
	for _, name := range []string{
		strings.Repeat("m", plan.MaxNameLen+1), ".", "..", "../m", "a/b", "/m", `a\b`, "m\x00", "./m", "m/",
	} {
		require.ErrorIs(t, prepare(name), transport.ErrProtocol, "%.20q", name)
	}
}

// TestPlanBytesLimit announces a plan longer than any may be.
func TestPlanBytesLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	prepare := func(n uint64) error {
		return p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 2, Hash: make([]byte, 32), PlanBytes: n}, []byte{1}, nil)
	}
	require.ErrorIs(t, prepare(plan.MaxPlanBytes+1), transport.ErrLimit)
	require.ErrorIs(t, prepare(plan.MaxPlanBytes), transport.ErrProtocol, "a length that may be, of a message that is shorter")
}
