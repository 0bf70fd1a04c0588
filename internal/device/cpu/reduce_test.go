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

func reduceStep(d *Device, o op.Op, out *op.Array, in ...*op.Array) *step {
	s := &step{op: o, group: &program.Group{}, in: in, out: out, job: newJob(), pool: d.pool, work: &workspace{d: d}, reducing: new(reducing)}
	s.work.place(make([]byte, s.workspace()))
	return s
}

// rowMajor is a copy without gaps.
func rowMajor(a *op.Array) *op.Array {
	c := op.NewArray(a.DType, a.Shape...)
	copyStrided(c, a, nil)
	return c
}

// TestReductionsOfAnyAxes compares reductions with the operator's reference, and
// holds that their bits depend on neither the layout, the number of threads, nor
// what is reduced beside them.
func TestReductionsOfAnyAxes(t *testing.T) {
	rng := rand.New(rand.NewPCG(71, 72))
	d, single := alone(t, 3), alone(t, 1)
	shapes := [][]int{{7}, {3, 5}, {40000}, {3, 70, 9}, {130, 257}, {2, 3, 1, 1200}, {9, 5, 4, 3, 33}, {3000, 3}, {9000, 12}, {11, 1, 2500}, {2, 150000}, {150000, 2}, {70000, 9}, {4, 0, 3}}
	for round := range 700 {
		shape := shapes[rng.IntN(len(shapes))]
		dt := []plan.DType{plan.F32, plan.F32, plan.I64, plan.I32}[rng.IntN(4)]
		o := op.Reduce{Kind: []string{"sum", "mean", "max", "min", "prod"}[rng.IntN(5)], Keep: rng.IntN(2) == 0}
		for a := range shape {
			if rng.IntN(2) == 0 {
				o.Axes = append(o.Axes, a-len(shape)*rng.IntN(2))
			}
		}
		x := layOut(rng, dt, shape)
		for i := range x.F32() {
			if dt == plan.F32 {
				x.F32()[i] = float32(math.Exp(rng.NormFloat64() * 0.01))
				if (o.Kind == "max" || o.Kind == "min") && rng.IntN(3) > 0 {
					x.F32()[i] = float32(rng.IntN(2000) - 1000)
				}
			}
		}
		spec, err := o.Infer([]plan.Spec{{DType: dt, Shape: op.Static(shape)}})
		if err != nil {
			continue // a mean of integers, or the maximum of nothing
		}
		dims, err := spec.Shape.Eval(nil)
		require.NoError(t, err)
		want, got, again := op.NewArray(dt, dims...), op.NewArray(dt, dims...), op.NewArray(dt, dims...)
		require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
		what := fmt.Sprintf("%d: %s over %v of %v %v stored %v", round, o.Kind, o.Axes, dt, shape, x.Strides)
		require.NoError(t, runReduce(reduceStep(d, o, got, x)), what)
		if dt != plan.F32 {
			require.Equal(t, want.Data, got.Data, what)
			continue
		}
		for i, w := range want.F32() {
			if g := got.F32()[i]; g != w && (g == g || w == w) && math.Abs(float64(g)-float64(w)) > 2e-6*math.Abs(float64(w)) {
				t.Fatalf("%s: element %d is %g, the reference has %g", what, i, g, w)
			}
		}
		require.NoError(t, runReduce(reduceStep(single, o, again, rowMajor(x))), what)
		requireSameBits(t, got, again, what)
	}
}

// TestSumBitsDoNotDependOnCompany: an element is the same alone, where its row is
// reduced, as among others, where columns are.
func TestSumBitsDoNotDependOnCompany(t *testing.T) {
	rng := rand.New(rand.NewPCG(73, 74))
	d := alone(t, 2)
	for _, n := range []int{1, 2, 15, 16, 17, 100, 4096, 4097, 10000, 65536, 65537, 140000} {
		for _, kind := range []string{"sum", "mean", "prod", "max"} {
			o := op.Reduce{Kind: kind, Axes: []int{0}}
			const w = 11
			x := op.NewArray(plan.F32, n, w)
			for i := range x.F32() {
				x.F32()[i] = float32(rng.NormFloat64())
			}
			all := op.NewArray(plan.F32, w)
			require.NoError(t, runReduce(reduceStep(d, o, all, x)))
			for j := range w {
				one := op.NewArray(plan.F32, 1)
				col := &op.Array{DType: plan.F32, Shape: []int{n, 1}, Strides: []int{w, 1}, Data: x.Data[4*j:]}
				require.NoError(t, runReduce(reduceStep(d, o, one, col)))
				require.Equal(t, math.Float32bits(all.F32()[j]), math.Float32bits(one.F32()[0]), "%s of %d, column %d", kind, n, j)
				require.NoError(t, runReduce(reduceStep(d, o, one, rowMajor(col))))
				require.Equal(t, math.Float32bits(all.F32()[j]), math.Float32bits(one.F32()[0]), "%s of %d, column %d on its own", kind, n, j)
			}
		}
	}
}

func TestArgMaxOfAnyAxis(t *testing.T) {
	rng := rand.New(rand.NewPCG(75, 76))
	d := alone(t, 3)
	for round := range 300 {
		shape := [][]int{{7}, {3, 5}, {3, 70, 9}, {130, 257}, {2, 3, 1, 1200}, {9000, 12}, {12, 9000}, {1, 6}}[rng.IntN(8)]
		x := layOut(rng, plan.F32, shape)
		for i := range x.F32() {
			x.F32()[i] = float32(rng.IntN(50))
			if rng.IntN(30) == 0 {
				x.F32()[i] = []float32{float32(math.NaN()), float32(math.Inf(-1)), float32(math.Inf(1))}[rng.IntN(3)]
			}
		}
		axis := rng.IntN(len(shape))
		dims := slices.Delete(slices.Clone(shape), axis, axis+1)
		for _, o := range []op.Op{op.ArgMax{Axis: axis - len(shape)*rng.IntN(2)}, op.ArgMin{Axis: axis}} {
			want, got := op.NewArray(plan.I32, dims...), op.NewArray(plan.I32, dims...)
			require.NoError(t, o.Eval(want, []*op.Array{x}, nil))
			require.NoError(t, runArgMax(reduceStep(d, o, got, x)))
			require.Equal(t, want.I32(), got.I32(), "%d: %s over axis %d of %v stored %v", round, o.Name(), axis, shape, x.Strides)
		}
	}
}

func TestReductionsAllocateNothing(t *testing.T) {
	d := alone(t, 2)
	x := op.NewArray(plan.F32, 4, 300, 130)
	turned := &op.Array{DType: plan.F32, Shape: x.Shape, Strides: []int{1, 4, 1200}, Data: x.Data}
	for _, s := range []*step{
		reduceStep(d, op.Reduce{Kind: "sum", Axes: []int{1}}, op.NewArray(plan.F32, 4, 130), x),
		reduceStep(d, op.Reduce{Kind: "mean", Axes: []int{0, 2}}, op.NewArray(plan.F32, 300), turned),
		reduceStep(d, op.Reduce{Kind: "max", Axes: []int{0, 1, 2}}, op.NewArray(plan.F32), x),
		reduceStep(d, op.ArgMax{Axis: 1}, op.NewArray(plan.I32, 4, 130), x),
	} {
		run := runReduce
		if s.op.Name() == "argmax" {
			run = runArgMax
		}
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if err := run(s); err != nil {
				panic(err)
			}
		}), s.op.Name())
	}
}
