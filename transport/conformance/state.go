package conformance

import (
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// growing is a cache of rows of two, and q times its transpose.
func growing() *builder {
	b := newBuilder("growing")
	past, n := plan.Sym("past"), plan.Sym("n")
	rows := b.input("rows", f32(n, plan.C(2)))
	q := b.input("q", f32(plan.C(1), plan.C(2)))
	kv := b.cache("kv", rows, f32(past.Add(n), plan.C(2)), past)
	b.output("scores", b.step("matmul", f32(plan.C(1), past.Add(n)), matmul(true), q, kv), plan.Download, plan.CauseLogits)
	return b
}

// bind gives growing's symbols their sizes.
func bind(b *builder, past, n int) []int {
	out := []int{}
	for _, s := range b.p.Symbols() {
		out = append(out, map[string]int{"past": past, "n": n}[s])
	}
	return out
}

func testGrowth(f *fixture) {
	s := f.session()
	b := growing()
	ref := f.prepare(s, b)
	q := data(plan.CauseActivation, floats(1, 10))
	var want []float32
	past := 0
	for step := range 120 {
		n := 1
		if step == 0 {
			n = 7 // a prefill
		}
		rows := make([]float32, 0, 2*n)
		for i := range n {
			k := float32(past + i)
			rows = append(rows, k, k+1)
			want = append(want, k+10*(k+1))
		}
		res := f.run(s, ref, bind(b, past, n), data(plan.CauseActivation, floats(rows...)), q)
		past += n
		require.Equal(f, []int{1, past}, res.Outputs[0].Tensor.Shape)
		require.Equal(f, want, toFloats(res.Outputs[0].Tensor.Data))
	}
	require.Positive(f, f.stats().StateBytes)
}

func testStateErrors(f *fixture) {
	s := f.session()
	b := growing()
	ref := f.prepare(s, b)
	row, q := data(plan.CauseActivation, floats(1, 2)), data(plan.CauseActivation, floats(1, 1))
	f.fails(transport.ErrState, s, ref, bind(b, 1, 1), row, q)
	f.run(s, ref, bind(b, 0, 1), row, q)
	f.fails(transport.ErrState, s, ref, bind(b, 0, 1), row, q)
	f.fails(transport.ErrState, s, ref, bind(b, 2, 1), row, q)
	res := f.run(s, ref, bind(b, 1, 1), row, q)
	require.Equal(f, []float32{3, 3}, toFloats(res.Outputs[0].Tensor.Data))
}

func testReset(f *fixture) {
	s := f.session()
	b := growing()
	ref := f.prepare(s, b)
	q := data(plan.CauseActivation, floats(1, 1))
	for range 2 {
		f.run(s, ref, bind(b, 0, 2), data(plan.CauseActivation, floats(1, 1, 2, 2)), q)
		res := f.run(s, ref, bind(b, 2, 1), data(plan.CauseActivation, floats(3, 3)), q)
		require.Equal(f, []float32{2, 4, 6}, toFloats(res.Outputs[0].Tensor.Data))
		require.NoError(f, s.Reset(f.ctx))
	}
	f.run(s, ref, bind(b, 0, 1), data(plan.CauseActivation, floats(1, 1)), q)
}

// testRewind takes back rows: runs continue as if they had not been made.
func testRewind(f *fixture) {
	s := f.session()
	r, ok := s.(transport.Rewinder)
	if !ok {
		f.Skip("this executor cannot shorten carried state")
	}
	b := growing()
	ref := f.prepare(s, b)
	q := data(plan.CauseActivation, floats(1, 1))
	const rows = 300 // more than a page of rows, where state is in pages
	many := make([]float32, 2*rows)
	for i := range many {
		many[i] = float32(i / 2)
	}
	f.run(s, ref, bind(b, 0, rows), data(plan.CauseActivation, floats(many...)), q)
	for _, keep := range []int{rows, 280, 3, 0} {
		require.NoError(f, r.Rewind(f.ctx, transport.StateLength{Name: "kv", Length: keep}))
		want := []float32{}
		for i := range keep {
			want = append(want, 2*many[2*i])
		}
		want = append(want, 14)
		res := f.run(s, ref, bind(b, keep, 1), data(plan.CauseActivation, floats(7, 7)), q)
		require.Equal(f, want, toFloats(res.Outputs[0].Tensor.Data), "%d rows", keep)
	}
	for _, to := range [][]transport.StateLength{
		{{Name: "kv", Length: 2}},
		{{Name: "kv", Length: 0}, {Name: "no such state", Length: 1}},
	} {
		require.ErrorIs(f, r.Rewind(f.ctx, to...), transport.ErrState)
	}
	f.fails(transport.ErrState, s, ref, bind(b, 0, 1), data(plan.CauseActivation, floats(7, 7)), q)
	f.run(s, ref, bind(b, 1, 1), data(plan.CauseActivation, floats(7, 7)), q)
}

// testSessions runs sessions concurrently, each with its own state.
func testSessions(f *fixture) {
	b := growing()
	var wg sync.WaitGroup
	for who := range 6 {
		s := f.session()
		ref := f.prepare(s, b)
		wg.Go(func() {
			var want []float32
			for past := range 40 {
				k := float32(100*who + past)
				want = append(want, 2*k)
				res, err := s.Run(f.ctx, transport.Call{Plan: ref, Bindings: bind(b, past, 1), Inputs: []transport.Input{
					data(plan.CauseActivation, floats(k, k)), data(plan.CauseActivation, floats(1, 1)),
				}})
				if err != nil {
					f.Errorf("session %d: %v", who, err)
					return
				}
				if got := toFloats(res.Outputs[0].Tensor.Data); !equal(want, got) {
					f.Errorf("session %d: %v, want %v", who, got, want)
					return
				}
			}
			if err := s.Close(); err != nil {
				f.Errorf("session %d: %v", who, err)
			}
		})
	}
	wg.Wait()
}

func equal(a, b []float32) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// testManyCallers uses one session from many goroutines: its calls run one
// after the other, so no addition to the carried sum is lost.
func testManyCallers(f *fixture) {
	b := newBuilder("sum")
	x := b.input("x", f32(plan.C(1)))
	st := b.value(plan.Value{Kind: plan.KindState, Name: "sum", Spec: f32(plan.C(1))})
	next := b.step("add", f32(plan.C(1)), nil, st, x)
	b.p.States = append(b.p.States, plan.State{Name: "sum", Mode: plan.StateReplace, In: st, Out: next})
	b.output("sum", next, plan.Download, plan.CauseActivation)
	s := f.session()
	ref := f.prepare(s, b)
	one := transport.Call{Plan: ref, Inputs: []transport.Input{data(plan.CauseActivation, floats(1))}}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := s.Run(f.ctx, one); err != nil {
					f.Errorf("run: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	res := f.run(s, ref, nil, data(plan.CauseActivation, floats(0)))
	require.Equal(f, []float32{200}, toFloats(res.Outputs[0].Tensor.Data))
}
