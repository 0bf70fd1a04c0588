package worker_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestNothingOfAnothers has two identities on two connections: one has a
// session with a plan, a retained value and half an upload, the other names
// them.
func TestNothingOfAnothers(t *testing.T) {
	w, alice, bob := guarded(t, nil)
	a, b := as(t, w, alice), as(t, w, bob)
	a.session()
	var ran wirepb.Ran
	require.NoError(t, a.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), &ran))
	handle := ran.GetRetained()[0]
	a.send(&wire.Message{
		Type: wire.TypePutWeight, Stream: 90, Control: &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 8},
		Payload: []wire.Segment{{Data: floats(1)}}, Open: true,
	})

	uses := func(session, plan uint32, h *wirepb.Handle) *wirepb.Run {
		return &wirepb.Run{Session: session, Plan: plan, Handles: []*wirepb.InputHandle{{Input: 0, Handle: h}}}
	}
	// Without a session of its own, the numbers are invalid.
	for name, ask := range map[string]func() error{
		"read":  func() error { return b.ask(wire.TypeRead, &wirepb.Read{Session: 1, Handle: handle}, nil, nil) },
		"run":   func() error { return b.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), nil) },
		"reset": func() error { return b.ask(wire.TypeReset, &wirepb.Reset{Session: 1}, nil, nil) },
		"close": func() error { return b.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: 1}, nil, nil) },
		"prepare": func() error {
			return b.ask(wire.TypePrepare, &wirepb.Prepare{Session: 1, Plan: 1, Hash: make([]byte, 32)}, nil, nil)
		},
		"upload": func() error {
			return b.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 8}, floats(1, 1), nil)
		},
	} {
		require.ErrorIs(t, ask(), transport.ErrClosed, name)
	}
	// With one of the same number, they lead to its own.
	require.NoError(t, b.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 1}, nil, nil))
	require.ErrorIs(t, b.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1}, floats(1, 1), nil), transport.ErrUnknownPlan)
	require.ErrorIs(t, b.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 1, Plan: 1, Value: 1, Bytes: 8}, floats(1, 1), nil), transport.ErrUnknownPlan)
	require.NoError(t, b.ask(wire.TypeCloseSession, &wirepb.CloseSession{Session: 1}, nil, nil))
	b.session()
	forged := func(change func(*wirepb.Handle)) *wirepb.Handle {
		h := &wirepb.Handle{Session: handle.GetSession(), Id: handle.GetId(), Epoch: handle.GetEpoch(), Generation: handle.GetGeneration()}
		change(h)
		return h
	}
	for name, h := range map[string]*wirepb.Handle{
		"as it is":           handle,
		"session left out":   forged(func(h *wirepb.Handle) { h.Session = 0 }),
		"session guessed":    forged(func(h *wirepb.Handle) { h.Session++ }),
		"number of the wire": forged(func(h *wirepb.Handle) { h.Session = 1 }),
		"another generation": forged(func(h *wirepb.Handle) { h.Generation++ }),
		"another epoch":      forged(func(h *wirepb.Handle) { h.Epoch ^= 1 }),
	} {
		require.ErrorIs(t, b.ask(wire.TypeRead, &wirepb.Read{Session: 1, Handle: h}, nil, nil), transport.ErrStaleHandle, name)
		require.ErrorIs(t, b.ask(wire.TypeRun, uses(1, 1, h), nil, nil), transport.ErrStaleHandle, name)
	}
	b.send(&wire.Message{Type: wire.TypeRelease, Stream: 70, Control: &wirepb.Release{Session: 1, Handles: []*wirepb.Handle{handle}}})
	b.send(&wire.Message{Type: wire.TypeCancel, Stream: 90})
	b.send(&wire.Message{Type: wire.TypeData, Stream: 90, Payload: []wire.Segment{{Data: floats(9)}}})
	require.ErrorIs(t, b.answer(90, 0, nil), transport.ErrProtocol, "the upload is another connection's")

	// The first is unaffected: its sum, its retained value, its upload.
	a.send(&wire.Message{Type: wire.TypeCancel, Stream: 90})
	require.ErrorIs(t, a.answer(90, 0, nil), context.Canceled)
	require.NoError(t, a.ask(wire.TypeRead, &wirepb.Read{Session: 1, Handle: handle}, nil, nil))
	a.works()
}
