package tcp_test

import (
	"context"
	"math"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
	"github.com/genie-sdk/go/transport/wire"
	"github.com/genie-sdk/go/transport/wire/wirepb"
)

// liar is a worker that answers as a test requires, and correctly otherwise.
type liar struct {
	answers map[wire.Type]*wire.Message // of each type of request
	weights atomic.Int32                // that came
}

// serve answers the requests of one connection until it ends.
func (l *liar) serve(nc net.Conn) {
	wc := wire.NewConn(wire.NewTCP(nc, nil), nil)
	defer wc.Close()
	for {
		h, _, err := wc.Next()
		if err != nil {
			return
		}
		if _, err := wc.ReadPayload(h, nil, plan.CauseControl); err != nil {
			return
		}
		if h.Type == wire.TypePutWeight {
			l.weights.Add(1)
		}
		m := wire.Message{Control: l.right(h.Type)}
		if lie := l.answers[h.Type]; lie != nil {
			m = *lie
		}
		if m.Control == nil {
			continue
		}
		if m.Type == 0 {
			m.Type = h.Type
		}
		m.Flags, m.Stream = wire.FlagAnswer, h.Stream
		if _, err := wc.Send(context.Background(), &m); err != nil {
			return
		}
	}
}

func (l *liar) right(typ wire.Type) proto.Message {
	switch typ { //nolint:exhaustive // others are not asked, or have no answer
	case wire.TypeHello:
		return &wirepb.Hello{Version: wire.Version, Epoch: 7, MaxFramePayload: wire.MaxFramePayload, MaxMessagePayload: math.MaxUint64}
	case wire.TypePrepare:
		return &wirepb.Prepared{}
	case wire.TypeRun:
		return &wirepb.Ran{ElapsedNs: math.MaxUint64, Retained: []*wirepb.Handle{{Session: 1, Id: 1, Epoch: 7, Generation: 1}}}
	case wire.TypeOpenSession, wire.TypeReset, wire.TypeCloseSession, wire.TypePutWeight:
		return &wirepb.Ran{}
	}
	return nil
}

// lied opens a session at a lying worker, with a plan that retains exp(x), x
// f32 [4], and has a weight.
func lied(t *testing.T, answers map[wire.Type]*wire.Message) (*liar, transport.Executor, transport.Session) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	w := &liar{answers: answers}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if nc, err := l.Accept(); err == nil {
			w.serve(nc)
		}
	}()
	ex, err := tcp.Dial(t.Context(), l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = ex.Close()
		<-served
	})
	s, err := ex.NewSession(t.Context())
	require.NoError(t, err)
	return w, ex, s
}

func keepingPlan() (*plan.Plan, transport.Weights) {
	spec := plan.Spec{DType: plan.F32, Shape: plan.Shape{plan.C(4)}}
	data := make([]byte, 16)
	h := transport.HashWeight(plan.F32, []int{4}, data)
	return &plan.Plan{
		Version: plan.Version, Name: "keeping", Buffers: 1,
		Values: []plan.Value{
			{Kind: plan.KindInput, Name: "x", Spec: spec, Buffer: plan.NoBuffer},
			{Kind: plan.KindWeight, Name: "w", Spec: spec, Hash: h, Storage: plan.F32, Buffer: plan.NoBuffer},
			{Kind: plan.KindTemp, Spec: spec, Buffer: 0},
		},
		Steps:   []plan.Step{{Op: "add", In: []int{0, 1}, Out: 2}},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 2, Place: plan.Retain, Cause: plan.CauseActivation}},
	}, transport.Weights{h: {Name: "w", Hash: h, Storage: plan.F32, Shape: []int{4}, Data: data}}
}

// TestReadIsWhatWasKept has a worker describe a value of 16 bytes as another one:
// the client knows what it is and takes no memory for anything else.
func TestReadIsWhatWasKept(t *testing.T) {
	for name, value := range map[string]*wirepb.Value{
		"8 GiB":        {Dtype: uint32(plan.F32), Shape: []uint64{1 << 31}},
		"another type": {Dtype: uint32(plan.I64), Shape: []uint64{4}},
		"another rank": {Dtype: uint32(plan.F32), Shape: []uint64{2, 2}},
		"no type":      {Dtype: 1 << 20, Shape: []uint64{4}},
		"overflowing":  {Dtype: uint32(plan.F32), Shape: []uint64{1 << 63, 1 << 63}},
		"many axes":    {Dtype: uint32(plan.F32), Shape: make([]uint64, 10000)},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, s := lied(t, map[wire.Type]*wire.Message{wire.TypeRead: {Control: value, Payload: []wire.Segment{{Data: make([]byte, 16)}}}})
			p, weights := keepingPlan()
			ref, err := s.Prepare(t.Context(), p, weights, nil)
			require.NoError(t, err)
			res, err := s.Run(t.Context(), transport.Call{Plan: ref, Inputs: []transport.Input{{Data: make([]byte, 16)}}})
			require.NoError(t, err)
			require.Positive(t, res.Elapsed)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = s.Read(t.Context(), res.Outputs[0].Handle)
			runtime.ReadMemStats(&after)
			require.ErrorIs(t, err, transport.ErrProtocol)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
			stranger := res.Outputs[0].Handle
			stranger.ID++
			_, err = s.Read(t.Context(), stranger)
			require.ErrorIs(t, err, transport.ErrProtocol, "of a value that was not retained")
		})
	}
}

// TestWeightsAreNotMissingForEver has a worker miss a weight however often it is
// sent, in lists of any length.
func TestWeightsAreNotMissingForEver(t *testing.T) {
	many := make([]uint32, 100_000)
	for i := range many {
		many[i] = 1
	}
	for name, missing := range map[string][]uint32{"once": {1}, "many times": many} {
		t.Run(name, func(t *testing.T) {
			w, _, s := lied(t, map[wire.Type]*wire.Message{wire.TypePrepare: {Control: &wirepb.Prepared{Missing: missing}}})
			p, weights := keepingPlan()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := s.Prepare(ctx, p, weights, nil)
			if name == "once" { // it is sent, and the run will tell
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, transport.ErrProtocol)
			}
			require.Less(t, w.weights.Load(), int32(12))
		})
	}
}

// TestWordsOfAWorker has a worker say what a terminal would do.
func TestWordsOfAWorker(t *testing.T) {
	nasty := "\x1b]0;owned\x07\x1b[2J\r\nforged\x00 \u009b31m \u202egnp.exe"
	for name, m := range map[string]*wirepb.Error{
		"message": {Code: transport.Code(transport.ErrShape), Message: nasty},
		"memory":  {Code: transport.Code(transport.ErrMemory), Message: nasty, Purpose: nasty},
		"quota":   {Code: transport.Code(transport.ErrQuota), Message: nasty, Quota: &wirepb.Quota{What: nasty, Limit: math.MaxUint64}},
		"busy":    {Code: transport.Code(transport.ErrOverloaded), Message: nasty, RetryAfterMs: math.MaxUint32},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, s := lied(t, map[wire.Type]*wire.Message{wire.TypeReset: {Type: wire.TypeError, Control: m}})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := s.Reset(ctx)
			require.Error(t, err)
			for ; err != nil; err = unwrapped(err) {
				for _, r := range err.Error() {
					require.True(t, unicode.IsPrint(r), "%q", err.Error())
				}
			}
		})
	}
	t.Run("stats", func(t *testing.T) {
		_, ex, _ := lied(t, map[wire.Type]*wire.Message{wire.TypeStats: {Control: &wirepb.Stats{Cpu: nasty}}})
		st, err := ex.Stats(t.Context())
		require.NoError(t, err)
		require.Equal(t, `\x1b]0;owned\a\x1b[2J; forged\x00 \u009b31m \u202egnp.exe`, st.CPU)
	})
}

// unwrapped is the first error below one.
func unwrapped(err error) error {
	switch x := err.(type) { //nolint:errorlint // it walks
	case interface{ Unwrap() error }:
		return x.Unwrap()
	case interface{ Unwrap() []error }:
		return x.Unwrap()[0]
	}
	return nil
}

// TestOneDevice asks a worker that accepts any plan for a device which no
// worker has: this side refuses to send it.
func TestOneDevice(t *testing.T) {
	_, ex, s := lied(t, nil)
	p, weights := keepingPlan()
	p.Steps[0].Device = 1
	before := ex.Ledger().Snapshot()
	_, err := s.Prepare(t.Context(), p, weights, nil)
	require.ErrorIs(t, err, transport.ErrInvalidPlan)
	require.ErrorContains(t, err, "device 1")
	require.Zero(t, ex.Ledger().Snapshot().Sub(before).Sent.Total(), "nothing was sent")
}

// TestRewindAtAnOlderWorker has a worker that knows Reset only as one of all state:
// the session says that nothing was shortened, and hostile lengths are refused here
// or there.
func TestRewindAtAnOlderWorker(t *testing.T) {
	_, _, s := lied(t, nil)
	r := s.(transport.Rewinder)
	require.NoError(t, r.Rewind(t.Context()))
	require.ErrorIs(t, r.Rewind(t.Context(), transport.StateLength{Name: "kv", Length: 3}), transport.ErrState)
	require.ErrorIs(t, r.Rewind(t.Context(), make([]transport.StateLength, plan.MaxStates+1)...), transport.ErrLimit)
}
