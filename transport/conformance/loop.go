package conformance

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// loopVocab is the number of tokens of talking, and loopTurn the position that
// its positions do not exceed.
const (
	loopVocab = 16
	loopTurn  = 100
)

// talking samples a token from those sampled before. Rows of two tables, by
// token and by position, go to a cache. The newest row attends to all of them,
// and the nearest word to the result is the next token. Words form a circle and
// positions a larger one, so that the token keeps changing.
func talking() *builder {
	b := newBuilder("talking")
	past, one := plan.Sym("past"), plan.C(1)
	token := b.input("token", i32(one))
	position := b.input("position", i32(one))
	circle := func(n int, radius, step float64) []byte {
		v := make([]float32, 0, 2*n)
		for i := range n {
			sin, cos := math.Sincos(step * float64(i))
			v = append(v, float32(radius*sin), float32(radius*cos))
		}
		return floats(v...)
	}
	table := b.weight("words", plan.F32, circle(loopVocab, 1, 2*math.Pi/loopVocab), loopVocab, 2)
	places := b.weight("places", plan.F32, circle(loopTurn+1, 2, 2.4), loopTurn+1, 2)
	two := f32(one, plan.C(2))
	row := b.step("add", two, nil, b.step("embedding", two, nil, table, token), b.step("embedding", two, nil, places, position))
	kv := b.cache("said", row, f32(past.Add(one), plan.C(2)), past)
	seen := b.step("softmax", f32(one, past.Add(one)), plan.Attrs{plan.Int("axis", -1)}, b.step("matmul", f32(one, past.Add(one)), matmul(true), row, kv))
	out := b.step("add", two, nil, row, b.step("matmul", two, matmul(false), seen, kv))
	scores := b.step("matmul", f32(one, plan.C(loopVocab)), matmul(true), out, table)
	next := b.step("argmax", i32(one), plan.Attrs{plan.Int("axis", -1)}, scores)
	b.output("next", next, plan.Download, plan.CauseToken)
	return b
}

func talkingInputs(token, position int32) []transport.Input {
	return []transport.Input{data(plan.CauseToken, ints(token)), data(plan.CauseToken, ints(position))}
}

func talkingLoop(runs int, stop ...int32) transport.Loop {
	return transport.Loop{
		Inputs: []transport.LoopInput{{Kind: transport.LoopToken}, {Kind: transport.LoopCount, Max: loopTurn}},
		Grow:   []int{1}, Limits: []int{runs}, Stop: stop,
	}
}

// talk makes the runs one by one.
func (f *fixture) talk(s transport.Session, ref transport.PlanRef, runs int) [][]byte {
	f.Helper()
	var said [][]byte
	token := int32(3)
	for i := range runs {
		res := f.run(s, ref, []int{i}, talkingInputs(token, int32(min(i, loopTurn)))...)
		said = append(said, res.Outputs[0].Tensor.Data)
		token = int32(said[i][0])
	}
	return said
}

// looper is a session's loop; the test ends for an executor that has none.
func (f *fixture) looper(s transport.Session) transport.Looper {
	f.Helper()
	l, ok := s.(transport.Looper)
	if !ok {
		f.Skip("this executor has no loops")
	}
	return l
}

// testLoop verifies that a loop gives the same results as its runs one by one,
// and that runs continue after it. It is longer than the credit of a wire.
func testLoop(f *fixture) {
	const runs = 150
	b := talking()
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, b)
	want := f.talk(s, ref, runs+1)
	distinct := map[byte]bool{}
	for _, t := range want {
		distinct[t[0]] = true
	}
	require.Greater(f, len(distinct), 2, "the tokens must differ")

	for _, stop := range []int{-1, 20} {
		require.NoError(f, s.Reset(f.ctx))
		n, loop := runs, talkingLoop(runs)
		if stop >= 0 { // at the first of its kind
			loop.Stop = []int32{99, int32(want[stop][0])}
			n = 1 + slices.IndexFunc(want, func(t []byte) bool { return t[0] == want[stop][0] })
		}
		before := f.ex.Ledger().Snapshot()
		var said [][]byte
		call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
		require.NoError(f, l.RunLoop(f.ctx, call, loop, func(tokens []byte, elapsed time.Duration) error {
			require.GreaterOrEqual(f, elapsed, time.Duration(0))
			said = append(said, append([]byte(nil), tokens...))
			return nil
		}))
		require.Equal(f, want[:n], said)
		require.Equal(f, []int{0}, call.Bindings, "what the caller gave is the caller's")
		if f.exact() {
			moved := f.ex.Ledger().Snapshot().Sub(before)
			require.EqualValues(f, 1, moved.RoundTrips)
			require.LessOrEqual(f, moved.Received.Total(), int64((64+f.opts.FrameOverhead)*n+64))
		}
		res := f.run(s, ref, []int{n}, talkingInputs(int32(said[n-1][0]), int32(min(n, loopTurn)))...)
		require.Equal(f, want[n], res.Outputs[0].Tensor.Data)
	}
}

// testLoopEnds ends loops early, from the reader and by a context.
func testLoopEnds(f *fixture) {
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, talking())
	call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(f.ctx)
	defer cancel(nil)
	for name, tt := range map[string]struct {
		ctx   context.Context
		third func() error
		want  error
	}{
		"reader":  {f.ctx, func() error { return enough }, enough},
		"context": {ctx, func() error { cancel(enough); return nil }, enough},
	} {
		n := 0
		start := time.Now()
		err := l.RunLoop(tt.ctx, call, talkingLoop(transport.MaxLoopRuns), func([]byte, time.Duration) error {
			if n++; n == 3 {
				return tt.third()
			}
			return nil
		})
		require.ErrorIs(f, err, tt.want, name)
		require.Less(f, time.Since(start), 5*time.Second, name)
		// The progress is unknown.
		f.fails(transport.ErrState, s, ref, []int{n}, call.Inputs...)
		require.NoError(f, s.Reset(f.ctx))
		f.run(s, ref, []int{0}, call.Inputs...)
		require.NoError(f, s.Reset(f.ctx))
	}
}

// testBadLoops verifies that an impossible loop is refused and harms nothing.
func testBadLoops(f *fixture) {
	s := f.session()
	l, ref := f.looper(s), f.prepare(s, talking())
	for name, tt := range map[string]struct {
		spoil func(*transport.Loop)
		want  error
	}{
		"inputs":   {func(l *transport.Loop) { l.Inputs = l.Inputs[:1] }, transport.ErrUnknownInput},
		"kind":     {func(l *transport.Loop) { l.Inputs[0].Kind = 77 }, transport.ErrDType},
		"bindings": {func(l *transport.Loop) { l.Grow = nil }, transport.ErrShape},
		"shrinks":  {func(l *transport.Loop) { l.Grow = []int{-1} }, transport.ErrShape},
		"token":    {func(l *transport.Loop) { l.Token = 1 }, transport.ErrUnknownInput},
		"no runs":  {func(l *transport.Loop) { l.Limits = []int{0} }, transport.ErrLimit},
		"too many": {func(l *transport.Loop) { l.Limits = []int{transport.MaxLoopRuns + 1} }, transport.ErrLimit},
		"stop":     {func(l *transport.Loop) { l.Stop = make([]int32, transport.MaxLoopStop+1) }, transport.ErrLimit},
	} {
		loop := talkingLoop(5)
		tt.spoil(&loop)
		call := transport.Call{Plan: ref, Bindings: []int{0}, Inputs: talkingInputs(3, 0)}
		err := l.RunLoop(f.ctx, call, loop, func([]byte, time.Duration) error { return nil })
		require.ErrorIs(f, err, tt.want, name)
	}
	f.talk(s, ref, 5)
}
