package conformance

import (
	"context"
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// testSlowReader lets one session's loop wait for its reader while another
// session of the same executor runs: only the loop is delayed. The runs that it
// made in the meantime arrive several to a frame.
func testSlowReader(f *fixture) {
	const runs, ahead = 400, 64 // ahead is the credit of a wire
	slow, quick := f.session(), f.session()
	l, ref := f.looper(slow), f.prepare(slow, talking())
	other := f.prepare(quick, talking())
	want := f.talk(quick, other, runs)
	require.NoError(f, quick.Reset(f.ctx))
	single := f.bytesOfARun(quick, other)

	held, others := make(chan struct{}), make(chan struct{})
	var said [][]byte
	done := make(chan error, 1)
	go func() {
		call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
		done <- l.RunLoop(f.ctx, call, talkingLoop(runs), func(tokens []byte, _ time.Duration) error {
			if said = append(said, append([]byte(nil), tokens...)); len(said) == 1 {
				close(held)
				<-others
			}
			return nil
		})
	}()
	<-held
	for i := range 20 {
		f.run(quick, other, []int{i}, talkingInputs(1, int32(i))...)
	}
	require.NoError(f, quick.Reset(f.ctx))
	n := 0
	call := transport.Call{Plan: other, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
	require.NoError(f, f.looper(quick).RunLoop(f.ctx, call, talkingLoop(runs), func(tokens []byte, _ time.Duration) error {
		require.Equal(f, want[n], tokens)
		n++
		return nil
	}))
	require.Equal(f, runs, n)
	if f.exact() {
		// The delayed loop runs up to its credit and no further.
		require.Eventually(f, func() bool { return f.heldRuns(2*runs+20+few) == ahead }, 10*time.Second, time.Millisecond)
		require.EqualValues(f, ahead, f.heldRuns(2*runs+20+few))
	}
	mark := f.ex.Ledger().Snapshot()
	close(others)
	require.NoError(f, <-done)
	require.Equal(f, want, said)
	if f.exact() {
		// At least the first half of a credit came in two frames.
		rest := float64(f.ex.Ledger().Snapshot().Sub(mark).Received.Total()) / (runs - ahead)
		f.Logf("a run takes %.1f bytes, %.1f when its reader was late", single, rest)
		require.Less(f, rest, .95*single)
		require.LessOrEqual(f, single, 64.0+float64(f.opts.FrameOverhead))
	}
}

// few is fewer runs than a client lets a loop be ahead.
const few = 20

// bytesOfARun is the bytes of each run when the reader is not late.
func (f *fixture) bytesOfARun(s transport.Session, ref transport.PlanRef) float64 {
	before := f.ex.Ledger().Snapshot()
	call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
	require.NoError(f, f.looper(s).RunLoop(f.ctx, call, talkingLoop(few), func([]byte, time.Duration) error { return nil }))
	require.NoError(f, s.Reset(f.ctx))
	return float64(f.ex.Ledger().Snapshot().Sub(before).Received.Total()-resetBytes) / few
}

// resetBytes is the size of the answer to a Reset, without gRPC's overhead.
const resetBytes = 40

// heldRuns is the runs of the executor except those of others.
func (f *fixture) heldRuns(others int) int64 { return f.stats().Runs - int64(others) }

// testCancelWithinAStep cancels a loop and counts the runs that the executor
// makes afterwards.
func testCancelWithinAStep(f *fixture) {
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, talking())
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
	before := f.stats().Runs
	read, atCancel := 0, int64(0)
	err := l.RunLoop(ctx, call, talkingLoop(transport.MaxLoopRuns), func([]byte, time.Duration) error {
		if read++; read == 10 {
			atCancel = f.stats().Runs - before
			cancel(enough)
		}
		return nil
	})
	require.ErrorIs(f, err, enough)
	after := f.stats().Runs - before
	// At the cancel, the executor was ahead of its reader by no more than the
	// credit, most of which is counted in atCancel.
	require.LessOrEqual(f, after, int64(read+64+1))
	require.GreaterOrEqual(f, after, atCancel)
	// The call has returned, and with it the loop has ended: no run follows.
	for range 5 {
		require.Equal(f, after, f.stats().Runs-before)
	}
}
