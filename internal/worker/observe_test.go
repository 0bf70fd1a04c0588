package worker_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/worker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/credentials"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// TestLogLines verifies that every line says which connection it is about, and
// each that comes of a request which session and which request.
func TestLogLines(t *testing.T) {
	log := &logged{}
	panics := false
	w := workertest.Start(t, func(o *worker.Options) {
		o.Log = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		o.Weights = finder{}
		o.Engine = &hooked{Engine: o.Engine, run: func(context.Context) error {
			if panics {
				panic("now")
			}
			return nil
		}}
	})
	p := greeted(t, w)
	require.NoError(t, p.ask(wire.TypeOpenSession, &wirepb.OpenSession{Session: 7}, nil, nil))
	pl, weights := counter()
	encoded, err := pl.Encode()
	require.NoError(t, err)
	h := pl.Hash()
	require.NoError(t, p.ask(wire.TypePrepare, &wirepb.Prepare{
		Session: 7, Plan: 1, Hash: h[:], Model: "nowhere", PlanBytes: uint64(len(encoded)),
	}, encoded, nil))
	require.NoError(t, p.ask(wire.TypePutWeight, &wirepb.PutWeight{Session: 7, Plan: 1, Value: 1, Bytes: 8}, weights[pl.Values[1].Hash].Data, nil))
	require.NoError(t, p.ask(wire.TypeRun, &wirepb.Run{Session: 7, Plan: 1}, floats(1, 1), nil))
	require.Error(t, p.ask(wire.TypeRun, &wirepb.Run{Session: 7, Plan: 9}, floats(1, 1), nil))
	panics = true
	require.ErrorIs(t, p.ask(wire.TypeRun, &wirepb.Run{Session: 7, Plan: 1}, floats(1, 1), nil), transport.ErrInternal)
	last := p.last
	require.NoError(t, p.wc.Close())
	require.Eventually(t, func() bool { return w.Server.Meter().ConnectionsOpen.Load() == 0 }, 5*time.Second, time.Millisecond)

	said := map[string]int{}
	requests := map[float64]bool{}
	for _, line := range log.read(t) {
		msg := line["msg"].(string)
		said[msg]++
		require.EqualValues(t, 1, line["connection"], line)
		require.NotEmpty(t, line["peer"], line)
		if msg == "connection ended" {
			continue
		}
		require.EqualValues(t, 7, line["session"], line)
		require.Contains(t, line, "request")
		require.NotEmpty(t, line["type"], line)
		requests[line["request"].(float64)] = true
	}
	require.Equal(t, map[string]int{
		"request": int(last), "weight not in the model folder": 1, "panic": 1, "request failed": 1, "connection ended": 1,
	}, said)
	require.Len(t, requests, int(last))
}

// TestLedgersAgree verifies that a worker counts what travels as its clients
// do, by direction and by cause, at the socket and frame by frame.
func TestLedgersAgree(t *testing.T) {
	for over := range dialers {
		t.Run(over, func(t *testing.T) {
			w := workertest.Start(t, nil)
			ex, s, call := prepared(t, w, over)
			run := func(c plan.Cause) transport.Result {
				call.Inputs[0].Cause = c
				res, err := s.Run(t.Context(), call)
				require.NoError(t, err)
				return res
			}
			run(plan.CauseToken)
			run(plan.CauseToken)
			kept := run(plan.CauseKV).Outputs[1].Handle
			_, err := s.Read(t.Context(), kept)
			require.NoError(t, err)
			require.NoError(t, s.Release(t.Context(), kept))
			_, err = ex.Stats(t.Context())
			require.NoError(t, err)
			want := ex.Ledger().Snapshot()
			require.EqualValues(t, 16, want.Sent[plan.CauseToken])
			require.EqualValues(t, 8, want.Sent[plan.CauseKV])
			var got transport.Snapshot
			require.Eventually(t, func() bool {
				want, got = ex.Ledger().Snapshot(), w.Server.Meter().Ledger.Snapshot()
				return want.Sent == got.Received && want.Received == got.Sent &&
					want.SocketSent == got.SocketReceived && want.SocketReceived == got.SocketSent
			}, 5*time.Second, time.Millisecond, "client %+v\nworker %+v", want, got)
			require.Equal(t, got.SocketReceived, got.Received.Total())
			require.Equal(t, got.SocketSent, got.Sent.Total())
		})
	}
}

// TestLedgersAgreeUnderTLS is the same with TLS, whose overhead is control, up
// to the end of the connections, with close notices in both directions.
func TestLedgersAgreeUnderTLS(t *testing.T) {
	for _, mutual := range []bool{false, true} {
		eachWay(t, func(t *testing.T, _ string, dial func(*workertest.Worker, credentials.Client) (transport.Executor, error)) {
			ca := workertest.NewCA(t)
			w := encrypted(t, ca, mutual, nil)
			client := ca.Issue("client", nil)
			var want, got transport.Snapshot
			agree := func(ledgers ...*transport.Ledger) {
				t.Helper()
				require.Eventually(t, func() bool {
					want = transport.Snapshot{}
					for _, l := range ledgers {
						one := l.Snapshot()
						for c := range want.Sent {
							want.Sent[c] += one.Sent[c]
							want.Received[c] += one.Received[c]
						}
						want.SocketSent += one.SocketSent
						want.SocketReceived += one.SocketReceived
					}
					got = w.Server.Meter().Ledger.Snapshot()
					return want.Sent == got.Received && want.Received == got.Sent &&
						want.SocketSent == got.SocketReceived && want.SocketReceived == got.SocketSent
				}, 5*time.Second, time.Millisecond)
				require.Equal(t, got.SocketReceived, got.Received.Total())
				require.Equal(t, got.SocketSent, got.Sent.Total())
			}
			ex, err := dial(w, credentials.Client{Files: &client})
			require.NoError(t, err)
			runs(t, ex)
			agree(ex.Ledger())
			require.Greater(t, got.Sent[plan.CauseControl], int64(500), "the worker's certificate is in it")
			other, err := dial(w, credentials.Client{Files: &client})
			require.NoError(t, err)
			runs(t, other)
			agree(ex.Ledger(), other.Ledger())
			require.NoError(t, other.Close())
			require.Eventually(t, func() bool {
				got = w.Server.Meter().Ledger.Snapshot()
				return w.Server.Meter().ConnectionsOpen.Load() == 1 && got.SocketReceived == got.Received.Total() && got.SocketSent == got.Sent.Total()
			}, 5*time.Second, time.Millisecond)
		})
	}
}

// TestCausesAreChecked sends causes that a plan's inputs cannot have.
func TestCausesAreChecked(t *testing.T) {
	w := workertest.Start(t, nil)
	p := greeted(t, w)
	p.session()
	for name, causes := range map[string][]uint32{"too many": {1, 2}, "unknown": {99}} {
		err := p.ask(wire.TypeRun, &wirepb.Run{Session: 1, Plan: 1, Causes: causes}, floats(1, 1), nil)
		require.Error(t, err, name)
		require.NotErrorIs(t, err, transport.ErrInternal, name)
	}
	p.works()
}
