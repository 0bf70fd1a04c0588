package worker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/weightcache"
	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// identified is a peer that has said hello with a token and opened session 1.
func identified(t *testing.T, w *workertest.Worker, token string) *peer {
	p := newPeer(t, w)
	p.send(&wire.Message{Type: wire.TypeHello, Control: &wirepb.Hello{Version: wire.Version, Token: []byte(token)}})
	h, _ := p.next()
	require.Equal(t, wire.TypeHello, h.Type)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	return p
}

// prepare is Prepare of plan 1, with the plan or by its hash alone.
func (p *peer) prepare(pl *plan.Plan, whole bool, model string) *wirepb.Prepared {
	p.t.Helper()
	h := pl.Hash()
	m := &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], Model: model}
	var encoded []byte
	if whole {
		var err error
		encoded, err = pl.Encode()
		require.NoError(p.t, err)
		m.PlanBytes = uint64(len(encoded))
	}
	var ready wirepb.Prepared
	require.NoError(p.t, p.ask(wire.TypePrepare, m, encoded, &ready))
	return &ready
}

// prove is Prove of value 1 by content that may not be the weight's.
func (p *peer) prove(ready *wirepb.Prepared, content []byte) *wirepb.Prepared {
	p.t.Helper()
	nonce, challenge := transport.PossessionKey(ready.GetNonce()), transport.PossessionKey(ready.GetChallenge())
	h := transport.NewPossessionHasher(nonce, plan.F32, []int{len(content) / 4})
	_, _ = h.Write(content)
	proof := h.Sum().Prove(challenge)
	var left wirepb.Prepared
	require.NoError(p.t, p.ask(wire.TypeProve, &wirepb.Prove{Session: 1, Plan: 1, Values: []uint32{1}, Bytes: uint64(len(proof))}, proof[:], &left))
	return &left
}

// TestHashIsNoRight verifies that an identity that knows the hash of another's
// weight neither learns that it is present nor runs with it, and that the
// content grants access.
func TestHashIsNoRight(t *testing.T) {
	w, alice, bob := guarded(t, nil)
	pl, weights := counter()
	owner := identified(t, w, alice)
	owner.plan()
	owner.works()

	other := identified(t, w, bob)
	require.True(t, other.prepare(pl, false, "").GetNeedPlan(), "another's plan is not told of either")
	ready := other.prepare(pl, true, "")
	require.Equal(t, []uint32{1}, ready.GetMissing())
	run := func() error {
		return other.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), nil)
	}
	require.ErrorIs(t, run(), transport.ErrMissingWeight)
	require.Equal(t, []uint32{1}, other.prove(ready, floats(100, 201)).GetMissing(), "other content")
	require.ErrorIs(t, run(), transport.ErrMissingWeight)

	// A proof is for one plan of one session: here it is another's.
	second := identified(t, w, bob)
	theirs := second.prepare(pl, true, "")
	require.NotEqual(t, ready.GetChallenge(), theirs.GetChallenge())
	require.Equal(t, []uint32{1}, second.prove(ready, floats(100, 200)).GetMissing())

	// What is not here at all is answered in the same words.
	empty, _, stranger := guarded(t, nil)
	nothing := identified(t, empty, stranger).prepare(pl, true, "")
	nothing.Nonce, nothing.Challenge = ready.GetNonce(), ready.GetChallenge()
	require.Equal(t, ready.String(), nothing.String())

	require.Empty(t, other.prove(ready, weights[pl.Values[1].Hash].Data).GetMissing())
	require.NoError(t, run())
	require.EqualValues(t, 1, w.Server.Stats().WeightsSent, "sent once")
	require.False(t, second.prepare(pl, false, "").GetNeedPlan())
	require.Empty(t, second.prepare(pl, false, "").GetMissing(), "what an identity has shown it need not show again")
}

// TestUploadIsARight for a client that proves nothing.
func TestUploadIsARight(t *testing.T) {
	w, alice, bob := guarded(t, nil)
	for _, token := range []string{alice, bob} {
		p := identified(t, w, token)
		p.plan()
		p.works()
	}
	require.EqualValues(t, 1, w.Server.Stats().Weights, "one copy")
}

// TestSecondIdentity prepares by the SDK's executors: the second identity sends
// proofs and no weights.
func TestSecondIdentity(t *testing.T) {
	eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
		w, alice, bob := guarded(t, nil)
		for i, token := range []string{alice, bob, bob} {
			ex, err := dial(w, credentials.Client{Token: token})
			require.NoError(t, err)
			runs(t, ex)
			sent := ex.Ledger().Snapshot().Sent[plan.CauseWeights]
			require.Equal(t, i == 0, sent > 0, "%d bytes of weights", sent)
			require.NoError(t, ex.Close())
		}
	})
}

// shelf is a model folder with the weight of counter.
type shelf struct{ model string }

func (f shelf) Find(_ context.Context, model string, h plan.Hash) (transport.Weight, error) {
	_, weights := counter()
	if w, ok := weights[h]; ok && model == f.model {
		return w, nil
	}
	return transport.Weight{}, transport.ErrMissingWeight
}

// TestModelFolderIsShared by the operator's choice, under its name alone.
func TestModelFolderIsShared(t *testing.T) {
	w, alice, bob := guarded(t, func(o *worker.Options) { o.Weights = shelf{"base"} })
	pl, _ := counter()
	p := identified(t, w, alice)
	require.Empty(t, p.prepare(pl, true, "base").GetMissing())
	p.works()
	p = identified(t, w, bob)
	require.NotEmpty(t, p.prepare(pl, true, "").GetMissing())
	require.NotEmpty(t, p.prepare(pl, true, "other").GetMissing())
	require.Empty(t, p.prepare(pl, true, "base").GetMissing())
	p.works()
	require.EqualValues(t, 1, w.Server.Stats().Weights)
}

// TestProofsOutliveTheWorker checks proofs against what is on disk alone.
func TestProofsOutliveTheWorker(t *testing.T) {
	dir := t.TempDir()
	cache := func(o *worker.Options) {
		c, err := weightcache.Open(dir, weightcache.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, c.Close()) })
		o.Cache = c
	}
	pl, weights := counter()
	w, alice, _ := guarded(t, cache)
	identified(t, w, alice).plan()
	require.Eventually(t, func() bool { return w.Server.Stats().CacheEntries == 1 }, 5*time.Second, time.Millisecond)
	require.NoError(t, w.Close())

	w, alice, bob := guarded(t, cache)
	p := identified(t, w, bob)
	ready := p.prepare(pl, true, "")
	require.NotEmpty(t, ready.GetMissing())
	require.NotEmpty(t, p.prove(ready, floats(0, 0)).GetMissing())
	require.Zero(t, w.Server.Stats().CacheHits, "nothing is read before it is proved")
	require.Empty(t, p.prove(ready, weights[pl.Values[1].Hash].Data).GetMissing())
	p.works()
	p = identified(t, w, alice)
	require.NotEmpty(t, p.prepare(pl, true, "").GetMissing(), "a client that had it before the restart proves it, too")
	require.EqualValues(t, 1, w.Server.Stats().CacheHits)
}

// TestBadProofs are answered and change nothing.
func TestBadProofs(t *testing.T) {
	w, alice, _ := guarded(t, nil)
	pl, _ := counter()
	p := identified(t, w, alice)
	prove := func(values []uint32, bytes uint64, payload []byte) error {
		return p.ask(wire.TypeProve, &wirepb.Prove{Session: 1, Plan: 1, Values: values, Bytes: bytes}, payload, nil)
	}
	require.ErrorIs(t, prove([]uint32{1}, 32, make([]byte, 32)), transport.ErrUnknownPlan)
	p.prepare(pl, true, "")
	require.ErrorIs(t, prove([]uint32{0}, 32, make([]byte, 32)), transport.ErrMissingWeight)
	require.ErrorIs(t, prove([]uint32{1 << 30}, 32, make([]byte, 32)), transport.ErrMissingWeight)
	require.ErrorIs(t, prove([]uint32{1}, 31, make([]byte, 31)), transport.ErrProtocol)
	require.ErrorIs(t, prove([]uint32{1, 1, 1, 1, 1, 1}, 6*32, make([]byte, 6*32)), transport.ErrProtocol)
	require.NoError(t, prove(nil, 0, nil))
	require.NoError(t, prove([]uint32{1, 1}, 64, make([]byte, 64)))
	require.ErrorIs(t, p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), nil), transport.ErrMissingWeight)
}

// TestClientsTogetherSendOnce starts clients of one identity side by side.
func TestClientsTogetherSendOnce(t *testing.T) {
	const size = 8 * mib
	for way := range dialers {
		t.Run(way, func(t *testing.T) {
			w := workertest.Start(t, nil)
			var wg sync.WaitGroup
			sent := make([]int64, 6)
			for i := range sent {
				wg.Go(func() {
					ex, err := dialers[way](t.Context(), w, nil)
					if err != nil {
						t.Error(err)
						return
					}
					defer func() { _ = ex.Close() }()
					if _, err := useBulk(t.Context(), t, ex, 1, size); err != nil {
						t.Error(err)
					}
					sent[i] = ex.Ledger().Snapshot().Sent[plan.CauseWeights]
				})
			}
			wg.Wait()
			total := int64(0)
			for _, n := range sent {
				total += n
			}
			require.EqualValues(t, size, total, "%v", sent)
		})
	}
}

// TestSenderDies cuts the connection of the sending client while others wait:
// one of them resumes the upload.
func TestSenderDies(t *testing.T) {
	const size = 4 * mib
	w := workertest.Start(t, nil)
	pl, _ := bulk(1, size)
	first := greeted(t, w)
	require.NoError(t, first.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	require.Equal(t, []uint32{1}, first.prepare(pl, true, "").GetMissing())
	waiting := make(chan int64)
	go func() {
		defer close(waiting)
		ex, err := dialers["tcp"](t.Context(), w, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = ex.Close() }()
		if _, err := useBulk(t.Context(), t, ex, 1, size); err != nil {
			t.Error(err)
		}
		waiting <- ex.Ledger().Snapshot().Sent[plan.CauseWeights]
	}()
	require.Eventually(t, func() bool { return w.Server.Meter().UploadsShared.Load() == 1 }, 5*time.Second, time.Millisecond)
	_, weights := bulk(1, size)
	data := weights[pl.Values[1].Hash].Data
	frame := frameOf(t, 3, &wire.Message{
		Type: wire.TypePutWeight, Stream: 100, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: size},
		Payload: []wire.Segment{{Data: data[:mib/2]}},
	})
	_, err := first.conn.Write(rewrite(3, frame, 6, byte(wire.FlagMore)))
	require.NoError(t, err)
	require.NoError(t, first.conn.Close())
	select {
	case n := <-waiting:
		require.EqualValues(t, size-mib/2, n)
	case <-time.After(10 * time.Second):
		t.Fatal("no other client took over")
	}
}

// TestSenderSaysNothing lets the client that was asked to send do nothing:
// after a while another one is asked, and a cancelled wait ends at once.
func TestSenderSaysNothing(t *testing.T) {
	w := workertest.Start(t, func(o *worker.Options) { worker.SetClaimIdle(o, 300*time.Millisecond) })
	pl, _ := counter()
	first, second, third := greeted(t, w), greeted(t, w), greeted(t, w)
	for _, p := range []*peer{first, second, third} {
		require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	}
	require.Equal(t, []uint32{1}, first.prepare(pl, true, "").GetMissing())
	h := pl.Hash()
	third.send(&wire.Message{Type: wire.TypePrepare, Stream: 77, Control: &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:]}})
	require.Eventually(t, func() bool { return w.Server.Meter().UploadsShared.Load() == 1 }, 5*time.Second, time.Millisecond)
	third.send(&wire.Message{Type: wire.TypeCancel, Stream: 77})
	require.ErrorIs(t, third.answer(77, wire.TypePrepare, nil), context.Canceled)
	require.Equal(t, []uint32{1}, second.prepare(pl, false, "").GetMissing())
	second.plan()
	second.works()
	require.Empty(t, third.prepare(pl, false, "").GetMissing())
	require.Zero(t, w.Server.Claims())
}
