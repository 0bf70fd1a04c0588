package cluster_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/internal/worker/workertest"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/cluster"
	"github.com/genie-sdk/go/transport/plan"
	"github.com/genie-sdk/go/transport/tcp"
)

// remembering is x, rows appended to a cache, a running sum of x, and another
// cache of the results: states on both members, of both kinds on the first.
func remembering() *plan.Plan {
	two := plan.C(2)
	spec := func(d plan.Dim) plan.Spec { return plan.Spec{DType: plan.F32, Shape: plan.Shape{d, two}} }
	past, n := plan.Sym("past"), plan.Sym("n")
	value := func(k plan.Kind, d plan.Dim, buffer int) plan.Value {
		return plan.Value{Kind: k, Spec: spec(d), Buffer: buffer}
	}
	reduce := plan.Attrs{plan.Ints("axes", []int{0}), plan.BoolAttr("keep", true), plan.Str("kind", "sum")}
	app := plan.Attrs{plan.Int("axis", 0)}
	return &plan.Plan{
		Version: plan.Version, Name: "remembering", Buffers: 4,
		Values: []plan.Value{
			value(plan.KindInput, n, plan.NoBuffer),          // 0: x
			value(plan.KindState, past, plan.NoBuffer),       // 1
			value(plan.KindTemp, past.Add(n), plan.NoBuffer), // 2: with x appended
			value(plan.KindTemp, plan.C(1), 0),               // 3: its sum
			value(plan.KindState, plan.C(1), plan.NoBuffer),  // 4
			value(plan.KindTemp, plan.C(1), 1),               // 5: 4 + 3
			value(plan.KindState, past, plan.NoBuffer),       // 6
			value(plan.KindTemp, n, 2),                       // 7: x + 5
			value(plan.KindTemp, past.Add(n), plan.NoBuffer), // 8: with 7 appended
			value(plan.KindTemp, plan.C(1), 3),               // 9: its sum
		},
		Steps: []plan.Step{
			{Op: "append", Attrs: app, In: []int{1, 0}, Out: 2},
			{Op: "reduce", Attrs: reduce, In: []int{2}, Out: 3},
			{Op: "add", In: []int{4, 3}, Out: 5},
			{Op: "add", In: []int{0, 5}, Out: 7, Device: 1},
			{Op: "append", Attrs: app, In: []int{6, 7}, Out: 8, Device: 1},
			{Op: "reduce", Attrs: reduce, In: []int{8}, Out: 9, Device: 1},
		},
		Inputs:  []plan.Port{{Name: "x", Value: 0}},
		Outputs: []plan.Output{{Name: "y", Value: 9, Place: plan.Download, Cause: plan.CauseActivation}},
		States: []plan.State{
			{Name: "rows", Mode: plan.StateAppend, In: 1, Out: 2},
			{Name: "sum", Mode: plan.StateReplace, In: 4, Out: 5},
			{Name: "results", Mode: plan.StateAppend, In: 6, Out: 8},
		},
	}
}

// onOne is the same plan for one device.
func onOne(p *plan.Plan) *plan.Plan {
	for i := range p.Steps {
		p.Steps[i].Device = 0
	}
	return p
}

func rememberingCall(p *plan.Plan, ref transport.PlanRef, past, n int) transport.Call {
	sizes := map[string]int{"past": past, "n": n}
	call := transport.Call{Plan: ref, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 2*n, past), Cause: plan.CauseActivation}}}
	for _, s := range p.Symbols() {
		call.Bindings = append(call.Bindings, sizes[s])
	}
	return call
}

// TestTakenBack has runs that fail on the second member when the first has changed
// its state: by an error, and by the end of the call's context. Later runs give what
// they give without those.
func TestTakenBack(t *testing.T) {
	alone := smallLocal(t)
	defer func() { require.NoError(t, alone.Close()) }()
	for kind, openMember := range kinds {
		t.Run(kind, func(t *testing.T) {
			p := remembering()
			one, oneRef, err := prepared(t, alone, onOne(remembering()), nil)
			require.NoError(t, err)
			second := &faulty{Executor: openMember(t)}
			ex, err := cluster.New([]cluster.Member{{Name: "first", Executor: openMember(t)}, {Name: "second", Executor: second}})
			require.NoError(t, err)
			defer func() { require.NoError(t, ex.Close()) }()
			two, twoRef, err := prepared(t, ex, p, nil)
			require.NoError(t, err)
			past := 0
			for i, n := range []int{3, 1, 1, 2, 1, 1} {
				switch i % 3 {
				case 1:
					second.set(func() error { return errPlanted })
					_, err = two.Run(t.Context(), rememberingCall(p, twoRef, past, n))
					require.ErrorIs(t, err, errPlanted)
					require.ErrorContains(t, err, "second")
				case 2:
					ctx, cancel := context.WithCancelCause(t.Context())
					cause := errors.New("no longer wanted")
					second.set(func() error { cancel(cause); return nil })
					_, err = two.Run(ctx, rememberingCall(p, twoRef, past, n))
					require.ErrorIs(t, err, cause)
					require.ErrorIs(t, err, context.Canceled)
				}
				second.set(nil)
				want, err := one.Run(t.Context(), rememberingCall(p, oneRef, past, n))
				require.NoError(t, err)
				got, err := two.Run(t.Context(), rememberingCall(p, twoRef, past, n))
				require.NoError(t, err)
				require.Equal(t, want.Outputs[0].Tensor, got.Outputs[0].Tensor, "run %d", i)
				past += n
			}
			requireFreed(t, ex)
		})
	}
}

// requireFreed waits for what was released: a worker does not answer that.
func requireFreed(t *testing.T, ex transport.Executor) {
	t.Helper()
	require.Eventually(t, func() bool {
		st, err := ex.Stats(t.Context())
		return err == nil && st.RetainedBytes == 0
	}, 10*time.Second, time.Millisecond, "values from before a run, or on their way, stay")
}

// rigid is a session that cannot shorten carried state.
type rigid struct{ transport.Session }

type rigidExecutor struct{ transport.Executor }

func (x rigidExecutor) NewSession(ctx context.Context) (transport.Session, error) {
	s, err := x.Executor.NewSession(ctx)
	return rigid{s}, err
}

// TestStateLost has a member that cannot take back what a run did: the error names
// it and its states, until a Reset.
func TestStateLost(t *testing.T) {
	p := remembering()
	second := &faulty{Executor: smallLocal(t)}
	ex, err := cluster.New([]cluster.Member{{Name: "first", Executor: rigidExecutor{smallLocal(t)}}, {Name: "second", Executor: second}})
	require.NoError(t, err)
	defer func() { require.NoError(t, ex.Close()) }()
	s, ref, err := prepared(t, ex, p, nil)
	require.NoError(t, err)
	second.set(func() error { return errPlanted })
	_, err = s.Run(t.Context(), rememberingCall(p, ref, 0, 2))
	require.ErrorIs(t, err, errPlanted)
	second.set(nil)
	for range 2 {
		_, err = s.Run(t.Context(), rememberingCall(p, ref, 0, 2))
		var lost *cluster.StateError
		require.ErrorAs(t, err, &lost)
		require.Equal(t, []string{"first"}, lost.Members)
		require.Equal(t, []string{"rows", "sum"}, lost.States)
		require.ErrorIs(t, err, transport.ErrState)
		require.ErrorIs(t, err, transport.ErrSessionLost)
		require.ErrorContains(t, err, "planted")
	}
	require.NoError(t, s.Reset(t.Context()))
	_, err = s.Run(t.Context(), rememberingCall(p, ref, 0, 2))
	require.NoError(t, err)
}

// TestDirect has a value that crosses from worker to worker: this process sends and
// receives neither, and each worker counts it.
func TestDirect(t *testing.T) {
	const size = 200
	p, weights := stack(2, 64)
	for _, direct := range []bool{false, true} {
		from, to := workertest.Start(t, workertest.WithPeers(t, nil)), workertest.Start(t, nil)
		var members []cluster.Member
		for _, w := range []*workertest.Worker{from, to} {
			ex, err := tcp.Dial(t.Context(), w.TCP)
			require.NoError(t, err)
			members = append(members, cluster.Member{Executor: ex})
		}
		ex, err := cluster.New(members, halves(), cluster.WithDirect(func(int, int, plan.Spec) bool { return direct }))
		require.NoError(t, err)
		s, ref, err := prepared(t, ex, p, weights)
		require.NoError(t, err)
		call := transport.Call{Plan: ref, Bindings: []int{size}, Inputs: []transport.Input{{Data: planmaker.Elements(plan.F32, 64*size, 1), Cause: plan.CauseToken}}}
		bytes := int64(4 * 64 * size)
		for range 3 {
			before := ex.Ledger().Snapshot()
			_, err = s.Run(t.Context(), call)
			require.NoError(t, err)
			moved := ex.Ledger().Snapshot().Sub(before)
			if direct {
				require.Zero(t, moved.Sent[plan.CauseActivation])
				require.Equal(t, bytes, moved.Received[plan.CauseActivation], "the output alone")
			} else {
				require.Equal(t, bytes, moved.Sent[plan.CauseActivation])
				require.Equal(t, 2*bytes, moved.Received[plan.CauseActivation])
			}
		}
		require.Eventually(t, func() bool { // a worker counts what it has written
			return from.Server.Meter().Ledger.Snapshot().Sent[plan.CauseActivation] == 3*bytes
		}, 10*time.Second, time.Millisecond, "%v", from.Server.Meter().Ledger.Snapshot().Sent)
		requireFreed(t, ex)
		require.NoError(t, ex.Close())
	}
}

// TestWayGone loses the direct way between two members, before a value has crossed
// and after: runs continue through this process, from the same state.
func TestWayGone(t *testing.T) {
	alone := smallLocal(t)
	defer func() { require.NoError(t, alone.Close()) }()
	for _, first := range []int{0, 2} {
		p := remembering()
		one, oneRef, err := prepared(t, alone, onOne(remembering()), nil)
		require.NoError(t, err)
		from := &faulty{Executor: smallLocal(t)}
		var sent, gone int
		fail := func() error { // one value at a time is on its way
			if sent++; sent > first {
				gone++
				return transport.ErrNoPeer
			}
			return nil
		}
		from.failSend.Store(&fail)
		ex, err := cluster.New([]cluster.Member{{Executor: from}, {Executor: smallLocal(t)}}, always())
		require.NoError(t, err)
		two, twoRef, err := prepared(t, ex, p, nil)
		require.NoError(t, err)
		past := 0
		for i, n := range []int{3, 1, 1, 2, 1} {
			want, err := one.Run(t.Context(), rememberingCall(p, oneRef, past, n))
			require.NoError(t, err)
			got, err := two.Run(t.Context(), rememberingCall(p, twoRef, past, n))
			require.NoError(t, err)
			require.Equal(t, want.Outputs[0].Tensor, got.Outputs[0].Tensor, "run %d", i)
			past += n
		}
		require.Equal(t, first+1, sent, "a way that is gone is not tried again at once")
		require.Equal(t, 1, gone)
		requireFreed(t, ex)
		require.NoError(t, ex.Close())
	}
}
