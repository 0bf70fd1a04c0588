package worker_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// keyOf is the key of a session that its owner numbers.
func keyOf(owner byte, i uint32) []byte {
	key := make([]byte, 32)
	key[0] = owner
	return binary.BigEndian.AppendUint32(key, i)
}

// leaves opens n sessions with keys and is lost, so that they wait for it.
func leaves(t *testing.T, w *workertest.Worker, token string, owner byte, from, n uint32) {
	t.Helper()
	p := as(t, w, token)
	for i := from; i < from+n; i++ {
		require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: i%wire.MaxSessions + 1, Key: keyOf(owner, i)}, nil, nil))
	}
	gone := w.Server.Meter().Connections.Load() - w.Server.Meter().ConnectionsOpen.Load()
	require.NoError(t, p.wc.Close())
	require.Eventually(t, func() bool {
		return w.Server.Meter().Connections.Load()-w.Server.Meter().ConnectionsOpen.Load() > gone
	}, 20*time.Second, time.Millisecond)
}

// TestRememberedLimit asks for an answer again after its connection was lost: the
// largest that is remembered, and one that is larger.
func TestRememberedLimit(t *testing.T) {
	w := workertest.Start(t, nil)
	pl := growing(1, false, plan.Download)
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := pl.Hash()
	for extra, want := range map[uint64]error{0: nil, 4: transport.ErrSessionLost} {
		size := worker.MaxRemembered + extra
		key := keyOf('k', uint32(extra))
		run := func(p *peer) error {
			p.last++
			p.send(&wire.Message{
				Type: wire.TypeRun, Stream: p.last, Control: &wirepb.Run{Session: 1, Plan: 1, Seq: 1, Bindings: []uint64{0, size / 4}, Bytes: size},
				Payload: []wire.Segment{{Data: make([]byte, size)}},
			})
			return p.answer(p.last, wire.TypeRun, nil)
		}
		p := greeted(t, w)
		require.NoError(t, p.join(key, false))
		require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: h[:], PlanBytes: uint64(len(encoded))}, encoded, nil))
		require.NoError(t, run(p))
		require.NoError(t, p.wc.Close())
		p = greeted(t, w)
		require.NoError(t, p.join(key, true))
		err := run(p)
		if want == nil {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, want)
	}
}

// TestHeldByIdentity has one identity leave more sessions than the worker holds:
// its own oldest go, and those of another stay until that one has them back, then
// and when it leaves them later.
func TestHeldByIdentity(t *testing.T) {
	w, alice, mallory := guarded(t, nil)
	resumes := func(token string, owner byte, i uint32) error {
		p := as(t, w, token)
		defer func() { _ = p.wc.Close() }()
		return p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1, Key: keyOf(owner, i), Resume: true}, nil, nil)
	}
	leaves(t, w, alice, 'a', 0, 3)
	leaves(t, w, mallory, 'm', 0, 108)
	leaves(t, w, mallory, 'm', 108, wire.MaxSessions-108)
	require.Equal(t, worker.MaxDetached, w.Server.Detached())
	require.EqualValues(t, 3, w.Server.Meter().SessionsNotHeld.Load())
	leaves(t, w, mallory, 'm', wire.MaxSessions, 100)
	require.Equal(t, worker.MaxDetached, w.Server.Detached())
	require.EqualValues(t, 103, w.Server.Meter().SessionsNotHeld.Load())
	leaves(t, w, alice, 'a', 3, 5)
	require.EqualValues(t, 108, w.Server.Meter().SessionsNotHeld.Load(), "others' go for those of an identity that has few")
	for i := range uint32(8) {
		require.NoError(t, resumes(alice, 'a', i), i)
	}
	for i := range uint32(108) {
		require.ErrorIs(t, resumes(mallory, 'm', i), transport.ErrSessionLost, "the oldest of the many")
	}
	for _, i := range []uint32{108, wire.MaxSessions, wire.MaxSessions + 99} {
		require.NoError(t, resumes(mallory, 'm', i), "the youngest of the many")
	}
}
