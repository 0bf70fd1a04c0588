package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// TestPoolsOfAnyLayout compares pools of random geometry with the operators'
// references.
func TestPoolsOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(91, 92))
	d := alone(t, 3)
	ran := 0
	for round := range 2000 {
		shape := []int{1 + rng.IntN(2), 1 + rng.IntN(40), 1 + rng.IntN(9), 1 + rng.IntN(9)}
		pick := func(n int) [2]int { return [2]int{1 + rng.IntN(n), 1 + rng.IntN(n)} }
		pad := [2]int{rng.IntN(3), rng.IntN(3)}
		var o op.Op = op.MaxPool2D{Kernel: pick(3), Stride: pick(3), Pad: pad, Ceil: rng.IntN(3) == 0}
		switch rng.IntN(3) {
		case 0:
			m := o.(op.MaxPool2D)
			m.Dilation = pick(2)
			o = m
		case 1:
			o = op.AvgPool2D{
				Kernel: pick(3), Stride: pick(3), Dilation: [2]int{1, 1 + rng.IntN(2)}, Ceil: rng.IntN(3) == 0, CountPad: rng.IntN(2) == 0,
				Pad: [4]int{pad[0], pad[1], pad[0], rng.IntN(3)},
			}
		}
		spec, err := o.Infer([]plan.Spec{{DType: plan.F32, Shape: op.Static(shape)}})
		if err != nil {
			continue
		}
		ran++
		dims, err := spec.Shape.Eval(nil)
		require.NoError(t, err)
		x := layOut(rng, plan.F32, shape)
		for i := range x.F32() {
			x.F32()[i] = float32(rng.NormFloat64())
		}
		want, got := op.NewArray(plan.F32, dims...), op.NewArray(plan.F32, dims...)
		if rng.IntN(2) == 0 {
			var strides [plan.MaxRank]int
			got.Strides = slices.Clone(lastStrides(dims, &strides))
		}
		if rng.IntN(2) == 0 {
			var strides [plan.MaxRank]int
			turned := &op.Array{DType: plan.F32, Shape: shape, Strides: slices.Clone(lastStrides(shape, &strides)), Data: make([]byte, 4*x.Len())}
			copyStrided(turned, x, nil)
			x = turned
		}
		require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
		s := &step{
			op: o, group: &program.Group{}, in: []*op.Array{x}, out: got, job: newJob(), pool: d.pool,
			work: &workspace{d: d}, pooling: new(pooling), copier: new(copier),
		}
		s.work.place(make([]byte, s.workspace()))
		require.NoError(t, runPool(s))
		got = rowMajor(got)
		for i, w := range want.F32() {
			g := got.F32()[i]
			if w == g || w != w && g != g {
				continue
			}
			require.InDelta(t, w, g, 1e-6, "%d: %+v of %v stored %v, element %d", round, o, shape, x.Strides, i)
		}
	}
	require.Greater(t, ran, 500)
}

// TestPadsOfAnyLayout compares paddings of every mode with the reference.
func TestPadsOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(93, 94))
	d := alone(t, 3)
	ran := 0
	for round := range 2000 {
		shape := [][]int{{7}, {3, 5}, {3, 70, 9}, {2, 3, 1, 120}, {50, 300}, {1, 1, 4}, {2, 3, 4, 5}, {1, 8, 1, 6}}[rng.IntN(8)]
		o := op.Pad{Mode: []op.PadMode{op.PadConstant, op.PadReflect, op.PadEdge, op.PadWrap}[rng.IntN(4)], Value: float64(rng.IntN(3))}
		for range shape {
			least := 0
			if o.Mode == op.PadConstant {
				least = -2
			}
			o.Before, o.After = append(o.Before, least+rng.IntN(4)), append(o.After, least+rng.IntN(4))
		}
		dt := []plan.DType{plan.F32, plan.I64, plan.Bool, plan.I32}[rng.IntN(4)]
		spec, err := o.Infer([]plan.Spec{{DType: dt, Shape: op.Static(shape)}})
		if err != nil {
			continue
		}
		dims, err := spec.Shape.Eval(nil)
		require.NoError(t, err)
		x := layOut(rng, dt, shape)
		want, got := op.NewArray(dt, dims...), op.NewArray(dt, dims...)
		if want.Len() == 0 {
			continue
		}
		ran++
		require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
		out := got
		if len(dims) == 4 && rng.IntN(2) == 0 {
			var strides [plan.MaxRank]int
			out = &op.Array{DType: dt, Shape: dims, Strides: lastStrides(dims, &strides), Data: make([]byte, len(got.Data))}
		}
		s := copyStepOf(d, o, out, x)
		s.pads = new(padding)
		require.NoError(t, runPad(s))
		copyStrided(got, out, nil)
		require.Equal(t, want.Data, got.Data, "%d: %+v of %v %v stored %v", round, o, dt, shape, x.Strides)
	}
	require.Greater(t, ran, 500)
}

// TestRowsOfAnyLayout compares the kernels of rows with the references on inputs
// of random layouts, and softmax over every axis.
func TestRowsOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(95, 96))
	d := alone(t, 3)
	for round := range 300 {
		shape := [][]int{{3, 5}, {3, 70, 9}, {2, 3, 4, 120}, {50, 300}}[rng.IntN(4)]
		x := layOut(rng, plan.F32, shape)
		for i := range x.F32() {
			x.F32()[i] = float32(rng.NormFloat64())
		}
		last := shape[len(shape)-1]
		in := []*op.Array{x}
		var o op.Op
		name := ""
		switch rng.IntN(4) {
		case 0:
			o, name = op.Softmax{Axis: rng.IntN(2*len(shape)) - len(shape)}, "softmax"
		case 1:
			o, name = op.LayerNorm{Eps: 1e-5}, "layer_norm"
			in = append(in, layOut(rng, plan.F32, []int{last}), op.NewArray(plan.F32, last))
			in[1] = rowMajor(in[1])
			for i := range in[1].F32() {
				in[1].F32()[i] = 1 + float32(i%3)
			}
		case 2:
			o, name = op.TopK{K: 1 + rng.IntN(min(last, 4)), Indices: rng.IntN(2) == 0}, "topk"
		case 3:
			o, name = op.CausalMask{Window: rng.IntN(3)}, "causal_mask"
		}
		specs := make([]plan.Spec, len(in))
		for i, a := range in {
			specs[i] = plan.Spec{DType: a.DType, Shape: op.Static(a.Shape)}
		}
		spec, err := o.Infer(specs)
		require.NoError(t, err)
		dims, err := spec.Shape.Eval(nil)
		require.NoError(t, err)
		out := op.NewArray(spec.DType, dims...)
		want := op.NewArray(spec.DType, dims...)
		require.NoError(t, o.Eval(want, in, nil))
		s := copyStepOf(d, o, out, in...)
		s.inputs = &copiedInputs{need: denseKernels[name]}
		s.copier = &s.inputs.copier
		s.work.place(make([]byte, s.workspace()))
		what := fmt.Sprintf("%d: %+v of %v stored %v", round, o, shape, x.Strides)
		require.NoError(t, named[name](s), what)
		require.Same(t, x, s.in[0])
		if spec.DType != plan.F32 {
			require.Equal(t, want.Data, out.Data, what)
			continue
		}
		for i, w := range want.F32() {
			g := out.F32()[i]
			require.LessOrEqual(t, math.Abs(float64(g)-float64(w)), 1e-5+1e-5*math.Abs(float64(w)), "%s: element %d is %g, the reference has %g", what, i, g, w)
		}
	}
}

// TestProductsOfAnyLayout compares products of random layouts with the reference.
func TestProductsOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(97, 98))
	d := alone(t, 3)
	for round := range 300 {
		m, n, k := 1+rng.IntN(40), 1+rng.IntN(40), 1+rng.IntN(40)
		batch := [][]int{{}, {3}, {2, 3}}[rng.IntN(3)]
		o := op.MatMul{TransA: rng.IntN(2) == 0, TransB: rng.IntN(2) == 0}
		matrix := func(r, c int, turned bool) *op.Array {
			if turned {
				r, c = c, r
			}
			a := layOut(rng, plan.F32, append(slices.Clone(batch), r, c))
			for i := range a.F32() {
				a.F32()[i] = float32(rng.NormFloat64())
			}
			return a
		}
		a, b := matrix(m, k, o.TransA), matrix(k, n, o.TransB)
		dims := append(slices.Clone(batch), m, n)
		want, got := op.NewArray(plan.F32, dims...), op.NewArray(plan.F32, dims...)
		require.NoError(t, o.Eval(want, []*op.Array{a, b}, nil))
		kernels := []string{"batched_gemm"}
		if len(batch) == 0 && !o.TransA {
			kernels = append(kernels, "gemm")
		}
		for _, name := range kernels {
			s := copyStepOf(d, o, got, a, b)
			s.inputs = &copiedInputs{need: denseKernels[name]}
			s.copier = &s.inputs.copier
			if name == "gemm" {
				s.group.Kind = program.Linear
			}
			s.work.place(make([]byte, s.workspace()))
			clear(got.Data)
			require.NoError(t, named[name](s))
			for i, w := range want.F32() {
				require.InDelta(t, w, got.F32()[i], 1e-4, "%d: %s %+v of %v stored %v and %v stored %v", round, name, o, a.Shape, a.Strides, b.Shape, b.Strides)
			}
		}
	}
}
