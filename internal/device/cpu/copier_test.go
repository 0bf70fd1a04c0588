package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// copyStepOf is a step of an operator that copies.
func copyStepOf(d *Device, o op.Op, out *op.Array, in ...*op.Array) *step {
	return &step{op: o, group: &program.Group{}, in: in, out: out, job: newJob(), pool: d.pool, work: &workspace{d: d}, copier: new(copier)}
}

// TestCopiesOfAnyLayout compares copies between random layouts of all element
// sizes with the operators' references.
func TestCopiesOfAnyLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(61, 62))
	d := alone(t, 3)
	shapes := [][]int{{}, {1}, {7}, {3, 5}, {40000}, {3, 70, 9}, {130, 257}, {2, 3, 1, 1200}, {9, 5, 4, 3, 33}, {3000, 3}, {3, 3000}, {11, 1, 2500}, {0, 3}, {2, 65, 4, 130}}
	for round := range 600 {
		shape := shapes[rng.IntN(len(shapes))]
		dt := []plan.DType{plan.F32, plan.I64, plan.Bool, plan.I32}[rng.IntN(4)]
		in, o := layOut(rng, dt, shape), op.Op(op.Contiguous{})
		if rng.IntN(3) == 0 {
			in, o = layOut(rng, dt, broadcastable(rng, shape)), op.Expand{Shape: op.Static(shape)}
		}
		out, want := layOut(rng, dt, shape), op.NewArray(dt, shape...)
		require.NoError(t, o.Eval(want, []*op.Array{in}, nil))
		before := append([]byte{}, out.Data...)
		what := fmt.Sprintf("%d: %v %v to %v, %v", round, dt, in.Strides, out.Shape, out.Strides)
		if err := runCopy(copyStepOf(d, o, out, in)); err != nil {
			t.Fatal(err)
		}
		got := op.NewArray(dt, shape...)
		require.NoError(t, op.Contiguous{}.Eval(got, []*op.Array{out}, nil))
		require.Equal(t, want.Data, got.Data, what)
		// What is between the elements is as it was.
		require.NoError(t, op.Contiguous{}.Eval(out, []*op.Array{{DType: dt, Shape: shape, Strides: out.Strides, Data: before}}, nil))
		require.Equal(t, before, out.Data, what)
	}
}

// TestCopyPastTheCaches covers copies that are streamed, and transpositions of
// that size.
func TestCopyPastTheCaches(t *testing.T) {
	d := alone(t, 2)
	shape := []int{3000, streamBytes/4/3000 + 5}
	in := op.NewArray(plan.I32, shape...)
	for i := range in.I32() {
		in.I32()[i] = int32(i)
	}
	for _, strides := range [][]int{{shape[1], 1}, {1, shape[0]}} {
		out := op.NewArray(plan.I32, shape...)
		require.NoError(t, runCopy(copyStepOf(d, op.Contiguous{}, out, &op.Array{DType: plan.I32, Shape: shape, Strides: strides, Data: in.Data})))
		for i, x := range out.I32() {
			if want := int32(i/shape[1]*strides[0] + i%shape[1]*strides[1]); x != want {
				require.Equal(t, want, x, "element %d of strides %v", i, strides)
			}
		}
	}
}

func TestCopiesAllocateNothing(t *testing.T) {
	d := alone(t, 2)
	x, y := op.NewArray(plan.F32, 70, 300, 4), op.NewArray(plan.F32, 70, 20, 4)
	pos := op.NewArray(plan.I32, 1)
	for _, s := range []*step{
		copyStepOf(d, op.Transpose{Perm: []int{2, 1, 0}}, op.NewArray(plan.F32, 4, 300, 70), x),
		copyStepOf(d, op.Expand{}, op.NewArray(plan.F32, 5, 70, 300, 4), x),
		copyStepOf(d, op.Concat{Axis: 1}, op.NewArray(plan.F32, 70, 320, 4), x, y),
		copyStepOf(d, op.WriteRows{Axis: 1}, op.NewArray(plan.F32, 70, 300, 4), x, y, pos),
		copyStepOf(d, op.Reshape{}, op.NewArray(plan.F32, 84000), x),
	} {
		run := map[string]kernel{"transpose": runCopy, "expand": runCopy, "concat": runConcat, "write_rows": runWriteRows, "reshape": runReshape}[s.op.Name()]
		require.Zero(t, testing.AllocsPerRun(20, func() {
			if err := run(s); err != nil {
				panic(err)
			}
		}), s.op.Name())
	}
}
