package worker_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// patient is how long the tests below let a message stall.
const patient = 50 * time.Millisecond

// echo is a plan of n floats whose output is as large.
func echo(n int) *plan.Plan {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(n)}}
	return &plan.Plan{
		Version: plan.Version, Name: "echo", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Name: "y", Spec: spec, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 0}, Out: 1}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 1, Place: plan.Download, Cause: plan.CauseActivation}},
	}
}

// prepared opens session 1 with plan 1.
func (p *peer) prepared(t *testing.T, pl *plan.Plan) {
	t.Helper()
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := plan.HashEncoded(encoded)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
}

// TestAnnouncedIsNotTaken announces payloads of which little arrives: memory is
// taken for the arrived part, and released when a message stalls while its
// client lives.
func TestAnnouncedIsNotTaken(t *testing.T) {
	const n = 16 * mib
	w := workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: 64 * mib}, func(o *worker.Options) { o.Patience = patient })
	p := greeted(t, w)
	p.prepared(t, echo(n/4))
	for stream := range uint64(8) { // two would be more than there is
		p.part(t, &wire.Message{Type: wire.TypeRun, Stream: 100 + stream, Control: &wirepb.Run{Session: 1, Plan: 1, Bytes: n}}, 64)
	}
	p.part(t, &wire.Message{Type: wire.TypeRun, Stream: 108, Control: &wirepb.Run{Session: 1, Plan: 1, Bytes: n}}, 512<<10)
	require.Eventually(t, func() bool { return w.Server.Staged() > 0 }, 5*time.Second, time.Millisecond)
	require.LessOrEqual(t, w.Server.Staged(), int64(2*512<<10+8*4096))
	p.stalls(t, 100, 109)
	require.Eventually(t, func() bool { return w.Server.Staged() <= mib }, 5*time.Second, time.Millisecond)
}

// part sends the first n bytes of a message.
func (p *peer) part(t *testing.T, m *wire.Message, n int) {
	t.Helper()
	m.Open, m.Payload = true, []wire.Segment{{Data: make([]byte, n)}}
	_, err := p.wc.Send(t.Context(), m)
	require.NoError(t, err)
}

// stalls pings until requests from one to another are answered with ErrLimit.
func (p *peer) stalls(t *testing.T, from, to uint64) {
	t.Helper()
	done, pinged := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(pinged)
		beat := time.NewTicker(patient / 10)
		defer beat.Stop()
		for {
			select {
			case <-beat.C:
				_, _ = p.wc.Send(t.Context(), &wire.Message{Type: wire.TypePing})
			case <-done:
				return
			}
		}
	}()
	defer func() { close(done); <-pinged }()
	left := to - from
	for left > 0 {
		h, control, err := p.wc.Next()
		require.NoError(t, err)
		_, err = p.wc.ReadPayload(h, nil, plan.CauseControl)
		require.NoError(t, err)
		if h.Type == wire.TypePing {
			continue
		}
		require.Equal(t, wire.TypeError, h.Type)
		require.Equal(t, transport.Code(transport.ErrLimit), errorOf(t, control).GetCode())
		require.True(t, h.Stream >= from && h.Stream < to, "%d", h.Stream)
		left--
	}
}

func errorOf(t *testing.T, control []byte) *wirepb.Error {
	t.Helper()
	var e wirepb.Error
	require.NoError(t, proto.Unmarshal(control, &e))
	return &e
}

// heavy is a plan with a weight of size bytes.
func heavy(size int) *plan.Plan {
	p, _ := bulk(1, 16)
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(size / 4)}}
	for i := range p.Values {
		p.Values[i].Spec = spec
	}
	return p
}

// TestUploadTakesItsMemoryInEarnest begins weights of nearly all memory: they
// take the arrived part, all of it once an eighth has arrived, and release it
// when they stall. A concurrent client does not notice.
func TestUploadTakesItsMemoryInEarnest(t *testing.T) {
	const limit, size = 64 * mib, 40 * mib
	w := workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: limit}, func(o *worker.Options) { o.Patience = time.Second })
	p := greeted(t, w)
	p.prepared(t, heavy(size))
	before := w.Engine.Memory().Used()
	put := func(stream uint64) *wire.Message {
		return &wire.Message{Type: wire.TypePutWeight, Stream: stream, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: size}}
	}
	for stream := range uint64(4) {
		p.part(t, put(100+stream), mib)
	}
	require.Eventually(t, func() bool { return w.Server.Staged() >= 4*mib }, 5*time.Second, time.Millisecond)
	require.Less(t, w.Engine.Memory().Used()-before, int64(4*(2+1)*mib), "of 160 MiB that are announced")
	require.Zero(t, w.Engine.Stats().WeightBytes)
	newBystander(t, w).check()
	for range 4 {
		p.part(t, &wire.Message{Type: wire.TypeData, Stream: 100}, mib)
	}
	require.Eventually(t, func() bool { return w.Engine.Stats().WeightBytes >= size }, 5*time.Second, time.Millisecond, "an eighth is there")
	p.stalls(t, 100, 104)
	w.Engine.Memory().Reclaim()
	require.Eventually(t, func() bool { return w.Engine.Stats().WeightBytes < mib && w.Server.Staged() == 0 }, 5*time.Second, time.Millisecond)
}

// TestUploadCountsForItsIdentity refuses a weight beyond the quota of bytes
// before any of it arrives, and counts an arriving one until it is complete.
func TestUploadCountsForItsIdentity(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) {
		o.Quota = func(string) worker.Quota { return worker.Quota{Bytes: 4 * mib} }
	})
	ex, err := dialers["tcp"](t.Context(), w, nil)
	require.NoError(t, err)
	defer func() { _ = ex.Close() }()
	upload := func(fill float32, size int) error {
		s, err := ex.NewSession(t.Context())
		require.NoError(t, err)
		p, weights := bulk(fill, size)
		_, err = s.Prepare(t.Context(), p, weights, nil)
		require.NoError(t, s.Close())
		return err
	}
	for fill := range 4 { // each is unused once it has arrived
		require.NoError(t, upload(float32(fill), 2*mib))
	}
	sent := ex.Ledger().Snapshot().Sent[plan.CauseWeights]
	const large = 64 * mib // so that the refusal comes before all of it is sent
	err = upload(9, large)
	require.ErrorIs(t, err, transport.ErrQuota)
	q, ok := errors.AsType[*transport.QuotaError](err)
	require.True(t, ok)
	require.Equal(t, "bytes", q.What)
	require.GreaterOrEqual(t, q.Want, int64(large))
	require.Less(t, ex.Ledger().Snapshot().Sent[plan.CauseWeights]-sent, int64(large))
}

// TestClientThatDoesNotRead loses its connection, and what its answers hold with it.
func TestClientThatDoesNotRead(t *testing.T) {
	const n = 8 * mib
	w := workertest.StartEngine(t, engine.Options{Threads: 1, MemLimit: 64 * mib}, func(o *worker.Options) { o.Patience = patient })
	p := greeted(t, w)
	p.prepared(t, echo(n/4))
	_, err := p.wc.Send(t.Context(), &wire.Message{
		Type: wire.TypeRun, Stream: 100, Control: &wirepb.Run{Session: 1, Plan: 1, Bytes: n}, Payload: []wire.Segment{{Data: make([]byte, n)}},
	})
	require.NoError(t, err)
	for stream := uint64(101); w.Engine.Stats().Sessions > 0; stream++ { // it lives, and asks on
		_, _ = p.wc.Send(t.Context(), &wire.Message{Type: wire.TypePing})
		<-time.After(time.Millisecond)
	}
	w.Engine.Memory().Reclaim()
	require.Eventually(t, func() bool { return w.Engine.Memory().Used() < mib }, 5*time.Second, time.Millisecond)
}
