package conformance

import (
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// beginning is the prompt's part of talking: it puts rows into the same cache
// and samples the first token from given scores.
func beginning() *builder {
	b := newBuilder("beginning")
	past, n, one := plan.Sym("past"), plan.Sym("n"), plan.C(1)
	rows := b.input("rows", f32(n, plan.C(2)))
	scores := b.input("scores", f32(one, plan.C(3)))
	b.cache("said", rows, f32(past.Add(n), plan.C(2)), past)
	next := b.step("argmax", i32(one), plan.Attrs{plan.Int("axis", -1)}, scores)
	b.output("next", next, plan.Download, plan.CauseToken)
	return b
}

// opened is a prompt of two rows whose first token is 2.
func opened(b *builder, ref transport.PlanRef, reset bool) transport.Opening {
	return transport.Opening{Reset: reset, Call: transport.Call{
		Plan: ref, Bindings: bind(b, 0, 2),
		Inputs: []transport.Input{data(plan.CauseActivation, floats(.5, .25, -.5, 1)), data(plan.CauseLogits, floats(0, 1, 2))},
	}}
}

// testOpenLoop verifies that a run and a loop in one request give the same
// results as in sequence, in one round trip.
func testOpenLoop(f *fixture) {
	const runs = 90
	s := f.session()
	l, ok := s.(transport.LoopOpener)
	if !ok {
		f.Skip("this executor opens no loops")
	}
	first, rest := beginning(), talking()
	firstRef, ref := f.prepare(s, first), f.prepare(s, rest)
	begin := opened(first, firstRef, false)
	var want [][]byte
	token := f.run(s, firstRef, begin.Call.Bindings, begin.Call.Inputs...).Outputs[0].Tensor.Data
	want = append(want, token)
	for i := range runs + 1 {
		token = f.run(s, ref, []int{2 + i}, talkingInputs(int32(want[i][0]), int32(min(2+i, loopTurn)))...).Outputs[0].Tensor.Data
		want = append(want, token)
	}
	for name, tt := range map[string]struct {
		stop []int32
		n    int
	}{
		"to the end":       {nil, runs + 1},
		"from the opening": {[]int32{2}, 1},
		"from the loop":    {[]int32{int32(want[1][0])}, 2},
	} {
		call := transport.Call{Plan: ref, Bindings: []int{2}, Inputs: talkingInputs(77, 2)}
		stats := f.stats() // first: to ask may cost more than one round trip
		before := f.ex.Ledger().Snapshot()
		var said [][]byte
		err := l.OpenLoop(f.ctx, opened(first, firstRef, true), call, talkingLoop(runs, tt.stop...), func(tokens []byte, elapsed time.Duration) error {
			require.GreaterOrEqual(f, elapsed, time.Duration(0))
			said = append(said, append([]byte(nil), tokens...))
			return nil
		})
		require.NoError(f, err, name)
		require.Equal(f, want[:tt.n], said, name)
		if f.exact() {
			moved := f.ex.Ledger().Snapshot().Sub(before)
			require.EqualValues(f, 1, moved.RoundTrips, name)
			require.LessOrEqual(f, moved.Received.Total(), int64((64+f.opts.FrameOverhead)*(tt.n+1))+256, name)
		}
		require.EqualValues(f, tt.n, f.stats().Runs-stats.Runs, name)
		// The session is in the state after the runs.
		res := f.run(s, ref, []int{1 + tt.n}, talkingInputs(int32(want[tt.n-1][0]), int32(min(1+tt.n, loopTurn)))...)
		require.Equal(f, want[tt.n], res.Outputs[0].Tensor.Data, name)
	}
}

// testBadOpenings verifies that an impossible opening is refused, and that a
// failing one ends the loop with it.
func testBadOpenings(f *fixture) {
	s := f.session()
	l, ok := s.(transport.LoopOpener)
	if !ok {
		f.Skip("this executor opens no loops")
	}
	first, rest, other := beginning(), talking(), plainAffine()
	firstRef, ref, otherRef := f.prepare(s, first), f.prepare(s, rest), f.prepare(s, other)
	foreign := f.prepare(f.session(), first)
	enough := errors.New("enough")
	for name, tt := range map[string]struct {
		spoil func(*transport.Opening)
		each  error
		want  error
	}{
		"no output":         {func(o *transport.Opening) { o.Token = 1 }, nil, transport.ErrUnknownInput},
		"no tokens":         {func(o *transport.Opening) { o.Call.Plan = otherRef }, nil, transport.ErrDType},
		"another session's": {func(o *transport.Opening) { o.Call.Plan = foreign }, nil, transport.ErrUnknownPlan},
		"sizes":             {func(o *transport.Opening) { o.Call.Bindings = []int{0} }, nil, transport.ErrShape},
		"state":             {func(o *transport.Opening) { o.Call.Bindings = bind(first, 1, 2) }, nil, transport.ErrState},
		"reader":            {func(*transport.Opening) {}, enough, enough},
	} {
		open := opened(first, firstRef, true)
		tt.spoil(&open)
		runs := f.stats().Runs
		call := transport.Call{Plan: ref, Bindings: []int{2}, Inputs: talkingInputs(0, 2)}
		err := l.OpenLoop(f.ctx, open, call, talkingLoop(transport.MaxLoopRuns), func([]byte, time.Duration) error { return tt.each })
		require.ErrorIs(f, err, tt.want, name)
		if tt.each == nil {
			require.Equal(f, runs, f.stats().Runs, "%s: the loop ran without its opening", name)
		}
	}
	// After that, the session only needs an opening that resets the state.
	n := 0
	call := transport.Call{Plan: ref, Bindings: []int{2}, Inputs: talkingInputs(0, 2)}
	require.NoError(f, l.OpenLoop(f.ctx, opened(first, firstRef, true), call, talkingLoop(5), func([]byte, time.Duration) error {
		n++
		return nil
	}))
	require.Equal(f, 6, n)
	f.run(s, ref, []int{7}, talkingInputs(3, 7)...)
}
