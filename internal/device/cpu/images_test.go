package cpu

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// geometryStep is a step of an operator with a geometry of its own, with its workspace and threads.
func geometryStep(t *testing.T, o op.Op, threads int, out *op.Array, in ...*op.Array) *step {
	t.Helper()
	p := newPool(threads)
	p.begin()
	t.Cleanup(func() { p.end(); p.close() })
	s := &step{op: o, in: in, out: out, pool: p, job: newJob(), copier: new(copier)}
	switch o.(type) {
	case op.Resize:
		s.resizing = new(resizing)
		s.work = &workspace{mem: make([]byte, s.resizeWorkspace())}
	case op.Recurrent:
		s.recurring = new(recurring)
		s.work = &workspace{mem: make([]byte, s.recurrentWorkspace())}
	case op.ConvTranspose2D:
		s.transposing = new(transposing)
		s.work = &workspace{mem: make([]byte, s.transposeWorkspace())}
	}
	return s
}

// image is random numbers, with channels first or last.
func image(r *rand.Rand, last bool, shape ...int) *op.Array {
	n := 1
	for _, d := range shape {
		n *= d
	}
	a := &op.Array{DType: plan.F32, Shape: shape, Strides: op.ContiguousStrides(shape), Data: make([]byte, 4*n)}
	if last {
		var strides [plan.MaxRank]int
		a.Strides = lastStrides(shape, &strides)
	}
	for i := range a.F32() {
		a.F32()[i] = r.Float32()*2 - 1
	}
	return a
}

// TestImageLayouts: resizes and transposed convolutions from and to any layout of
// images have the values of the reference, and the same bits with any number of
// threads. They need no more than the workspace that they ask for.
func TestImageLayouts(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 7))
	for _, c := range []struct {
		op   op.Op
		run  kernel
		out  []int
		x    []int
		more [][]int
	}{
		{op.Resize{Mode: "nearest", Coords: "asymmetric", Nearest: "floor"}, runResize, []int{2, 24, 34, 42}, []int{2, 24, 17, 21}, nil},
		{op.Resize{Mode: "linear", Coords: "half_pixel", Nearest: "floor"}, runResize, []int{2, 24, 34, 42}, []int{2, 24, 17, 21}, nil},
		{op.Resize{Mode: "linear", Coords: "asymmetric", Nearest: "floor"}, runResize, []int{1, 5, 9, 40}, []int{1, 9, 9, 21}, nil},
		{op.Resize{Mode: "cubic", Coords: "half_pixel", Nearest: "floor", Cubic: -0.75}, runResize, []int{1, 3, 33, 40}, []int{1, 3, 9, 21}, nil},
		{op.ConvTranspose2D{Stride: [2]int{2, 2}, Dilation: [2]int{1, 1}, Groups: 1}, runConvTranspose, []int{2, 24, 34, 42}, []int{2, 24, 17, 21}, [][]int{{24, 24, 2, 2}, {24}}},
		{op.ConvTranspose2D{Stride: [2]int{2, 1}, Dilation: [2]int{1, 2}, Groups: 2, Pad: [4]int{1, 0, 0, 1}}, runConvTranspose, []int{2, 10, 34, 24}, []int{2, 24, 17, 21}, [][]int{{24, 5, 3, 3}, {10}}},
	} {
		if o, ok := c.op.(op.Resize); ok {
			o.Shape = op.Static(c.out)
			c.op = o
		}
		for i := range 4 {
			name := fmt.Sprintf("%+v/%v", c.op, i)
			in := []*op.Array{image(r, i&1 != 0, c.x...)}
			for _, m := range c.more {
				in = append(in, image(r, false, m...))
			}
			want := image(r, i&2 != 0, c.out...)
			require.NoError(t, c.op.Eval(want, in, nil), name)
			var first []float32
			for _, threads := range []int{1, 3} {
				got := image(r, i&2 != 0, c.out...)
				s := geometryStep(t, c.op, threads, got, in...)
				require.NoError(t, c.run(s), name)
				require.InDeltaSlice(t, want.F32(), got.F32(), 2e-5, name)
				if first == nil {
					first = got.F32()
				}
				require.Equal(t, first, got.F32(), "%s: the bits with %d threads", name, threads)
			}
		}
	}
}
