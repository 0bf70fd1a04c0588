package devicetest

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/planmaker"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// testFused runs steps that a compiler fuses into one group.
func testFused(f *fixture) {
	e := f.engine(nil)
	b := f.plan("layer")
	x := b.in(plan.F32, "rows", 33)
	y := b.step("matmul", matmul(false, false), x, b.weight(plan.F32, floats(33*17, 1), 33, 17))
	y = b.step("bias", nil, y, b.weight(plan.F32, floats(17, 2), 17))
	y = b.step("gelu", plan.Attrs{plan.BoolAttr("tanh", true)}, y)
	z := b.step("matmul", matmul(false, true), y, b.weight(plan.BF16, numbers(plan.BF16, 33*17, 0, 3), 33, 17))
	z = b.step("add", nil, z, x)
	p := b.out(plan.Download, z, y).done()
	var calls []call
	for _, n := range []int{1, 3, 65, 2, 0, 7} {
		calls = append(calls, call{plan.Bindings{"rows": n}, [][]byte{floats(n*33, uint64(n))}})
	}
	f.check(e, "layer", p, b.weights, calls...)

	b = f.plan("block")
	x = b.in(plan.F32, "n", 5, 9, 7)
	w := func(shape ...int) int {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return b.weight(plan.F32, operand{dtype: plan.F32, dims: shape, abs: len(shape) == 1}.content(uint64(n)), shape...)
	}
	y = b.step("conv2d", conv(1, 1, 1, 1), x, w(17, 5, 3, 3))
	y = b.step("batch_norm", eps(1e-5), y, w(17), w(17), w(17), w(17))
	y = b.step("relu", nil, y)
	z = b.step("conv2d", conv(1, 1, 0, 1), y, w(17, 17, 1, 1), w(17))
	z = b.step("relu", nil, b.step("add", nil, z, y))
	z = b.step("max_pool2d", pool(3, 1, 2), z)
	mean := b.step("reduce", reduce("mean", false, 2, 3), z)
	p = b.out(plan.Download, mean, z).done()
	calls = nil
	for _, n := range []int{1, 3, 2, 0} {
		calls = append(calls, call{plan.Bindings{"n": n}, [][]byte{floats(n*5*9*7, uint64(n))}})
	}
	f.check(e, "block", p, b.weights, calls...)

	b = f.plan("attention")
	q, k, v := b.in(plan.F32, "b", 3, "q", 7), b.in(plan.F32, "b", 3, "k", 7), b.in(plan.F32, "b", 3, "k", 5)
	s := b.step("mul", nil, b.step("matmul", matmul(false, true), q, k), b.constant(plan.F32, floats(1, 3)))
	s = b.step("softmax", axis(-1), b.step("causal_mask", plan.Attrs{plan.Int("window", 0)}, s))
	s = b.step("transpose", perm(0, 2, 1, 3), b.step("matmul", matmul(false, false), s, v))
	p = b.out(plan.Download, s).done()
	calls = nil
	for _, n := range [][3]int{{1, 1, 1}, {2, 3, 9}, {1, 17, 17}, {3, 1, 300}} {
		calls = append(calls, call{plan.Bindings{"b": n[0], "q": n[1], "k": n[2]}, [][]byte{
			floats(n[0]*3*n[1]*7, 1), floats(n[0]*3*n[2]*7, 2), floats(n[0]*3*n[2]*5, 3),
		}})
	}
	f.check(e, "attention", p, b.weights, calls...)
}

// testImagesOfAnySize runs convolutions of images whose sides are known only when
// they are bound, also one row high.
func testImagesOfAnySize(f *fixture) {
	e := f.engine(nil)
	b := f.plan("images of any size")
	x := b.in(plan.F32, "n", 3, "h", "w")
	w := func(shape ...int) int {
		n := 1
		for _, d := range shape {
			n *= d
		}
		return b.weight(plan.F32, floats(n, uint64(n)), shape...)
	}
	y := b.step("relu", nil, b.step("conv2d", conv(1, 1, 1, 1), x, w(17, 3, 3, 3), w(17)))
	y = b.step("conv2d", conv(1, 1, 1, 1), y, w(19, 17, 3, 3))
	z := b.step("conv2d", conv(1, 1, 0, 1), y, w(5, 19, 1, 1), w(5))
	y = b.step("conv2d", conv(1, 19, 1, 1), y, w(19, 1, 3, 3))
	p := b.out(plan.Download, y, z).done()
	var calls []call
	for _, n := range [][3]int{{1, 9, 7}, {2, 1, 33}, {1, 30, 2}, {3, 1, 1}, {1, 9, 7}, {0, 5, 5}} {
		calls = append(calls, call{plan.Bindings{"n": n[0], "h": n[1], "w": n[2]}, [][]byte{floats(n[0]*3*n[1]*n[2], uint64(n[1]))}})
	}
	f.check(e, "images of any size", p, b.weights, calls...)
}

// testBranches runs two towers of products, which may be computed concurrently.
func testBranches(f *fixture) {
	e := f.engine(func(o *engine.Options) { o.Branches = true })
	b := f.plan("towers")
	tower := func(x int, seed uint64) int {
		for i := range uint64(5) {
			y := b.step("matmul", matmul(false, i%2 == 0), x, b.weight(plan.F32, floats(17*17, seed+i), 17, 17))
			x = b.step("tanh", nil, b.step("bias", nil, y, b.weight(plan.F32, floats(17, seed+i+20), 17)))
		}
		return b.step("softmax", axis(-1), x)
	}
	left, right := tower(b.in(plan.F32, "n", 17), 100), tower(b.in(plan.F32, "n", 17), 200)
	p := b.out(plan.Download, b.step("mul", nil, left, right)).done()
	prog, err := e.Compile(p)
	require.NoError(f, err)
	require.Len(f, prog.Lanes, 2)
	var calls []call
	for i, n := range []int{1, 5, 33, 2} {
		calls = append(calls, call{plan.Bindings{"n": n}, [][]byte{floats(17*n, uint64(i)), floats(17*n, uint64(i)+9)}})
	}
	f.check(e, "towers", p, b.weights, calls...)
}

// testPlans runs random plans, with weights, constants and all kinds of state,
// and compares each run with the reference's: where the reference fails the
// device must too.
func testPlans(f *fixture) {
	e := f.engine(func(o *engine.Options) { o.Threads, o.MaxScratch = 1, 16<<20 })
	r := rand.New(rand.NewPCG(11, 12)) //nolint:gosec // a test
	ran, runs := 0, 0
	for i := 0; ran < f.opts.Plans; i++ {
		raw := make([]byte, 30+r.IntN(200))
		for k := range raw {
			raw[k] = byte(r.Uint32())
		}
		made := planmaker.Make
		if i%2 == 1 {
			made = planmaker.MakeFitting
		}
		p, weights, draws := made(raw)
		encoded, err := p.Encode()
		if err != nil {
			continue
		}
		p, err = plan.Decode(encoded)
		require.NoError(f, err)
		if _, err := e.Compile(p); err != nil {
			require.ErrorIs(f, err, transport.ErrInvalidPlan)
			continue
		}
		if !fitting(p, weights) {
			continue // it was corrupted: it gives a content another shape
		}
		ran++
		runs += f.comparePlan(e, fmt.Sprintf("plan %d: %v, states %v, outputs %v", i, p.Steps, p.States, p.Outputs), p, weights, draws)
	}
	require.Greater(f, runs, f.opts.Plans/2, "runs that gave something")
}

// fitting reports whether the weights match the plan's descriptions of them.
func fitting(p *plan.Plan, weights transport.Weights) bool {
	for _, v := range p.Values {
		if v.Kind != plan.KindWeight {
			continue
		}
		shape, err := v.Spec.Shape.Eval(nil)
		w := weights[v.Hash]
		if err != nil || fmt.Sprint(shape) != fmt.Sprint(w.Shape) || v.Storage != w.Storage {
			return false
		}
	}
	return true
}

// comparePlan runs a plan several times and returns how often it produced a
// result.
func (f *fixture) comparePlan(e *engine.Engine, what string, p *plan.Plan, weights transport.Weights, d *planmaker.Draws) (runs int) {
	f.Helper()
	s := f.session(e, p, weights)
	defer s.s.Close()
	ref, err := newReference(p, weights)
	require.NoError(f, err)
	past := map[string]int{}
	for range 3 {
		c := call{sizes: plan.Bindings{}}
		for _, sym := range p.Symbols() {
			n, grown := past[sym]
			if b := d.Byte(); !grown && len(sym) <= 2 {
				n = b % 6
			}
			c.sizes[sym] = n
		}
		seed := d.Byte()
		for i, in := range p.Inputs {
			a, err := empty(&p.Values[in.Value], c.sizes)
			if err != nil || a.Len() > 1<<16 {
				return runs
			}
			c.in = append(c.in, planmaker.Elements(a.DType, a.Len(), seed+i))
		}
		want, wantErr := ref.run(c.sizes, c.in)
		if f.compareRun(s, what, c, want, wantErr) {
			runs++
		} else if s.lost() {
			return runs
		}
		for _, st := range p.States {
			if sym, ok := grows(p, st); ok && wantErr == nil {
				past[sym], _ = p.Values[st.Out].Spec.Shape[st.Axis].Eval(c.sizes)
			}
		}
	}
	return runs
}

// grows is the symbol of a state's number of positions.
func grows(p *plan.Plan, st plan.State) (string, bool) {
	if st.Mode != plan.StateAppend {
		return "", false
	}
	return p.Values[st.In].Spec.Shape[st.Axis].Symbol()
}

// lost reports whether the session's state has become unusable.
func (s *session) lost() bool { return len(s.plan.States) > 0 }

// compareRun runs a plan once.
func (f *fixture) compareRun(s *session, what string, c call, want []*op.Array, wantErr error) bool {
	f.Helper()
	got, handles, err := s.try(context.Background(), c.sizes, data(c.in...)...)
	if f.opts.Zeros && wantErr != nil && err == nil {
		return false // an error in its numbers would go unnoticed
	}
	if wantErr != nil || err != nil {
		require.Equal(f, wantErr == nil, err == nil, "%s at %v: %v, the reference %v", what, c.sizes, err, wantErr)
		require.Equal(f, transport.Code(wantErr), transport.Code(err), "%s at %v: %v, the reference %v", what, c.sizes, err, wantErr)
		return false
	}
	for i, o := range s.plan.Outputs {
		t := got[i]
		if o.Place == plan.Retain {
			t, err = s.s.Read(handles[i])
			require.NoError(f, err)
		}
		f.requireWithin(f.tolerance(s.plan), want[i], t, what)
	}
	return true
}
