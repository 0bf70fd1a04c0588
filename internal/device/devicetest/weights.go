package devicetest

import (
	"context"
	"math"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// testWeightLayouts reads one content in several ways together, in all storage
// formats: by products as stored and transposed, by rows, element by element,
// and as an output.
func testWeightLayouts(f *fixture) {
	for _, storage := range []plan.DType{plan.F32, plan.BF16, plan.F16} {
		e := f.engine(nil)
		content := numbers(storage, 67*33, 0, 5)
		for _, readers := range [][]string{{"product"}, {"turned"}, {"rows", "turned"}, {"product", "turned", "rows", "plain"}} {
			b := f.plan("weights")
			w := b.weight(storage, content, 67, 33)
			x, y, at := b.in(plan.F32, "n", 67), b.in(plan.F32, "n", 33), b.in(plan.I64, "n")
			for _, r := range readers {
				switch r {
				case "product":
					b.out(plan.Download, b.step("matmul", matmul(false, false), x, w))
				case "turned":
					b.out(plan.Download, b.step("matmul", matmul(false, true), y, w))
				case "rows":
					b.out(plan.Download, b.step("embedding", nil, w, at))
				case "plain":
					b.out(plan.Download, b.step("mul", nil, w, w), w)
				}
			}
			var calls []call
			for _, n := range []int{1, 5} {
				calls = append(calls, call{plan.Bindings{"n": n}, [][]byte{floats(67*n, 1), floats(33*n, 2), numbers(plan.I64, n, 67, 3)}})
			}
			f.check(e, storage.String(), b.done(), b.weights, calls...)
		}
		b := f.plan("filters")
		x := b.in(plan.F32, "n", 3, 9, 9)
		w := b.weight(storage, numbers(storage, 5*3*9, 0, 5), 5, 3, 3, 3)
		bias, scale := b.weight(storage, numbers(storage, 5, 0, 6), 5), b.weight(plan.F32, positive(5).content(7), 5)
		y := b.step("conv2d", conv(1, 1, 1, 1), x, w, bias)
		z := b.step("batch_norm", eps(1e-5), b.step("conv2d", conv(1, 1, 1, 2), x, w), scale, bias, bias, scale)
		f.check(e, "filters", b.out(plan.Download, y, z).done(), b.weights,
			call{plan.Bindings{"n": 1}, [][]byte{floats(3*81, 1)}}, call{plan.Bindings{"n": 3}, [][]byte{floats(3*3*81, 2)}})
	}
	e := f.engine(nil)
	b := f.plan("indices")
	at := b.weight(plan.I64, numbers(plan.I64, 7, 5, 1), 7)
	mask := b.weight(plan.Bool, numbers(plan.Bool, 7, 2, 1), 7, 1)
	y := b.step("embedding", nil, b.in(plan.F32, 5, 3), at)
	y = b.step("where", nil, mask, y, b.weight(plan.F32, floats(3, 4), 3))
	f.check(e, "indices", b.out(plan.Download, y).done(), b.weights, call{in: [][]byte{floats(15, 9)}})
}

// testInt8 rounds weights, or is refused when the device is opened.
func testInt8(f *fixture) {
	e, err := engine.New(engine.Options{Device: f.open, Threads: 1, Int8Weights: true})
	if !f.opts.Int8 {
		require.ErrorContains(f, err, "8 bits")
		return
	}
	require.NoError(f, err)
	f.engines = append(f.engines, e)
	const k, n = 129, 67
	b := f.plan("int8")
	content := floats(k*n, 1)
	y := b.step("matmul", matmul(false, false), b.in(plan.F32, "n", k), b.weight(plan.F32, content, k, n))
	p := b.out(plan.Download, y).done()
	s := f.session(e, p, b.weights)
	defer s.s.Close()
	ref, err := newReference(p, b.weights)
	require.NoError(f, err)
	c := call{plan.Bindings{"n": 3}, [][]byte{floats(3*k, 2)}}
	want, err := ref.run(c.sizes, c.in)
	require.NoError(f, err)
	x := (&op.Array{Data: c.in[0]}).F32()
	w := (&op.Array{Data: content}).F32()
	got := (&op.Array{Data: s.run(c.sizes, c.in...)[0].Data}).F32()
	changed := false
	for i, v := range got {
		largest, sum := 0.0, 0.0
		for j := range k {
			largest = max(largest, math.Abs(float64(w[j*n+i%n])))
			sum += math.Abs(float64(x[i/n*k+j]))
		}
		d := math.Abs(float64(v - want[0].F32()[i]))
		require.LessOrEqual(f, d, sum*largest/254*1.01+1e-4)
		changed = changed || d > 1e-4
	}
	require.True(f, changed, "nothing is rounded")
}

// testWeightGivenUp aborts weights during loading, and loads wrong content: no
// memory is left.
func testWeightGivenUp(f *fixture) {
	e := f.engine(nil)
	b := f.plan("weight")
	content := floats(33*17, 1)
	y := b.step("matmul", matmul(false, false), b.in(plan.F32, 1, 33), b.weight(plan.F32, content, 33, 17))
	prog, err := e.Compile(b.out(plan.Download, y).done())
	require.NoError(f, err)
	held := func() int64 { h := e.Memory().Held(); return h[budget.Weights] + h[budget.Packed] }
	for _, n := range []int{0, 5, len(content)} {
		w, err := e.PutWeight(prog, e.Missing(prog)[0])
		require.NoError(f, err)
		require.NotZero(f, held())
		_, err = w.Write(content[:n])
		require.NoError(f, err)
		w.Abort()
		w.Abort()
		require.Zero(f, held())
	}
	wrong := append([]byte(nil), content...)
	wrong[7]++
	w, err := e.PutWeight(prog, e.Missing(prog)[0])
	require.NoError(f, err)
	_, err = w.Write(wrong)
	require.NoError(f, err)
	require.ErrorIs(f, w.Commit(), transport.ErrCorrupt)
	require.Zero(f, held())
	s := e.NewSession()
	_, err = s.NewCallContext(context.Background(), prog, nil)
	require.ErrorIs(f, err, transport.ErrMissingWeight)
	s.Close()
	two := f.session(e, b.Plan(), b.weights)
	two.run(nil, floats(33, 3))
	two.s.Close()
	e.Memory().Reclaim()
	require.Zero(f, held())
}
