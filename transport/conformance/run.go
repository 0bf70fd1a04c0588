package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Options describe an executor.
type Options struct {
	// Remote says that the executor works elsewhere: the ledger counts.
	Remote bool
	// Pair opens two executors that share their weights and plans, such as two
	// clients of one worker. Without it two sessions of one executor are used.
	Pair func(t *testing.T) (a, b transport.Executor)
	// FrameOverhead is the bytes that encryption adds to a small frame, which
	// the limits on such frames exclude: 22 for TLS 1.3.
	FrameOverhead int
	// Proofs says that the other end distinguishes identities: before weights
	// are sent, one more round trip shows whether it has them from another
	// client.
	Proofs bool
	// Slow says that the executor computes many times more slowly than a
	// processor: steps that only take time are smaller.
	Slow bool
	// Held, if not nil, reports what the other end of a closed executor still
	// holds for its sessions, by name: memory of waiting inputs, carried state,
	// retained values. After each test all of it must drop to zero.
	Held func(t *testing.T, ex transport.Executor) map[string]int64
	// Movers opens two executors; sessions of the first can send values to
	// sessions of both. Without it such transfers are not tested.
	Movers func(t *testing.T) (from, to transport.Executor)
	// Moved, if not nil, reports what the other end of one of them has sent to
	// that of the other, and what that one has received, by cause.
	Moved func(from, to transport.Executor) (sent, received transport.ByCause)
}

// Run runs the suite. open gives each test its own executor; Run closes it.
func Run(t *testing.T, open func(t *testing.T) transport.Executor, opts Options) {
	tests := []struct {
		name string
		run  func(*fixture)
	}{
		{"Values", testValues},
		{"Shapes", testShapes},
		{"Storage", testStorage},
		{"TwoForms", testTwoForms},
		{"LargeTensors", testLargeTensors},
		{"Progress", testProgress},
		{"BadCalls", testBadCalls},
		{"BadPlans", testBadPlans},
		{"BadWeights", testBadWeights},
		{"Closed", testClosed},
		{"CancelledBefore", testCancelledBefore},
		{"CancelledDuring", testCancelledDuring},
		{"Deadline", testDeadline},
		{"WaitersGo", testWaitersGo},
		{"CloseCancels", testCloseCancels},
		{"CloseStops", testCloseStops},
		{"Growth", testGrowth},
		{"StateErrors", testStateErrors},
		{"Reset", testReset},
		{"Kept", testKept},
		{"StaleHandles", testStaleHandles},
		{"SessionsSideBySide", testSessions},
		{"OneSessionManyCallers", testManyCallers},
		{"Reuse", testReuse},
		{"Ledger", testLedger},
		{"StepBytes", testStepBytes},
		{"Stats", testStats},
		{"Loop", testLoop},
		{"LoopEnds", testLoopEnds},
		{"BadLoops", testBadLoops},
		{"OpenLoop", testOpenLoop},
		{"BadOpenings", testBadOpenings},
		{"Profile", testProfile},
		{"ProfiledLoop", testProfiledLoop},
		{"SlowReader", testSlowReader},
		{"CancelWithinAStep", testCancelWithinAStep},
		{"Move", testMove},
		{"MoveWaits", testMoveWaits},
		{"MoveState", testMoveState},
		{"MoveManySessions", testMoveManySessions},
		{"MoveCause", testMoveCause},
		{"Tickets", testTickets},
	}
	for _, tt := range tests {
		before := countLeaks(t)
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			ex := open(t)
			f := &fixture{T: t, ctx: ctx, ex: ex, open: open, opts: opts}
			defer func() {
				f.checkLedger(ex)
				require.NoError(t, ex.Close())
				f.checkHeld(ex)
			}()
			tt.run(f)
		})
		before.check(t, tt.name)
	}
}

// fixture is the environment of one test.
type fixture struct {
	*testing.T
	ctx  context.Context
	ex   transport.Executor
	open func(t *testing.T) transport.Executor
	opts Options
}

func (f *fixture) session() transport.Session {
	f.Helper()
	s, err := f.ex.NewSession(f.ctx)
	require.NoError(f, err)
	return s
}

func (f *fixture) prepare(s transport.Session, b *builder) transport.PlanRef {
	f.Helper()
	ref, err := s.Prepare(f.ctx, &b.p, b.weights, nil)
	require.NoError(f, err)
	require.Equal(f, b.p.Hash(), ref.Hash())
	return ref
}

func (f *fixture) run(s transport.Session, ref transport.PlanRef, bindings []int, in ...transport.Input) transport.Result {
	f.Helper()
	res, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: bindings, Inputs: in})
	require.NoError(f, err)
	return res
}

func (f *fixture) fails(want error, s transport.Session, ref transport.PlanRef, bindings []int, in ...transport.Input) {
	f.Helper()
	res, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: bindings, Inputs: in})
	require.ErrorIs(f, err, want)
	require.Empty(f, res.Outputs)
}

// checkLedger checks causes against the bytes that the socket counted. It is
// called when nothing is in flight; it waits for bytes that the peer's end of
// an exchange still causes, such as window updates.
func (f *fixture) checkLedger(ex transport.Executor) {
	f.Helper()
	if !f.opts.Remote {
		require.Zero(f, ex.Ledger().Snapshot())
		return
	}
	require.Eventually(f, func() bool {
		s := ex.Ledger().Snapshot()
		return s.Sent.Total() == s.SocketSent && s.Received.Total() == s.SocketReceived
	}, 5*time.Second, time.Millisecond, "%+v", ex.Ledger().Snapshot())
}

// affine is y = x*w + c over [rows, 2], w [2,3].
func affine(storage plan.DType, w []byte) *builder {
	b := newBuilder("affine")
	rows := plan.Sym("rows")
	x := b.input("x", f32(rows, plan.C(2)))
	m := b.step("matmul", f32(rows, plan.C(3)), matmul(false), x, b.weight("w", storage, w, 2, 3))
	y := b.step("add", f32(rows, plan.C(3)), nil, m, b.weight("c", plan.F32, floats(10, 20, 30), 3))
	b.output("y", y, plan.Download, plan.CauseActivation)
	return b
}

func plainAffine() *builder { return affine(plan.F32, floats(1, 2, 3, 4, 5, 6)) }
