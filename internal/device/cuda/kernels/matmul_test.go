package kernels_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// MatMul agrees with the operator's reference for any strides and batches.
func TestMatMul(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		a, b, out      []int
		sa, sb         []int // nil for dense
		transA, transB bool
	}{
		"plain":          {a: []int{5, 70}, b: []int{70, 9}, out: []int{5, 9}},
		"many rows":      {a: []int{70, 33}, b: []int{33, 70}, out: []int{70, 70}},
		"transposed b":   {a: []int{17, 66}, b: []int{65, 66}, out: []int{17, 65}, transB: true},
		"transposed a":   {a: []int{66, 18}, b: []int{66, 3}, out: []int{18, 3}, transA: true},
		"both":           {a: []int{5, 4}, b: []int{6, 5}, out: []int{4, 6}, transA: true, transB: true},
		"batches":        {a: []int{2, 3, 4, 5}, b: []int{2, 3, 5, 6}, out: []int{2, 3, 4, 6}},
		"broadcast b":    {a: []int{2, 3, 4, 5}, b: []int{5, 6}, out: []int{2, 3, 4, 6}},
		"broadcast each": {a: []int{3, 1, 4, 5}, b: []int{2, 5, 6}, out: []int{3, 2, 4, 6}},
		"strided":        {a: []int{3, 4, 5}, b: []int{3, 6, 5}, out: []int{3, 4, 6}, sa: []int{5, 15, 1}, sb: []int{1, 3, 18}, transB: true},
		"no k":           {a: []int{2, 0}, b: []int{0, 3}, out: []int{2, 3}},
		"no rows":        {a: []int{0, 4}, b: []int{4, 3}, out: []int{0, 3}},
		"rank 8":         {a: []int{1, 2, 1, 2, 1, 2, 3, 4}, b: []int{4, 5}, out: []int{1, 2, 1, 2, 1, 2, 3, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := open(t)
			r := rand.New(rand.NewPCG(8, 8))
			tensor := func(shape, strides []int) (*op.Array, kernels.Tensor) {
				if strides == nil {
					strides = op.ContiguousStrides(shape)
				}
				n := 1
				for d := range shape {
					n += max(shape[d]-1, 0) * strides[d]
				}
				x := &op.Array{DType: plan.F32, Shape: shape, Strides: strides, Data: encode(plan.F32, normal(r, n))}
				return x, kernels.Tensor{At: g.upload(x.Data), DType: plan.F32, Shape: shape, Strides: strides}
			}
			a, da := tensor(c.a, c.sa)
			b, db := tensor(c.b, c.sb)
			n := 1
			for _, d := range c.out {
				n *= d
			}
			want := &op.Array{DType: plan.F32, Shape: c.out, Strides: op.ContiguousStrides(c.out), Data: make([]byte, 4*n)}
			out := kernels.Tensor{At: g.alloc(int64(4 * n)), DType: plan.F32, Shape: c.out, Strides: want.Strides}
			if err := (op.MatMul{TransA: c.transA, TransB: c.transB}).Eval(want, []*op.Array{a, b}, nil); err != nil {
				t.Fatal(err)
			}
			if err := g.set.MatMul(g.st, out, da, db, c.transA, c.transB); err != nil {
				t.Fatal(err)
			}
			for i, got := range g.download(out.At, out.Len()) {
				if x := want.F32()[i]; math.Abs(float64(got-x)) > 1e-5*max(1, math.Abs(float64(x))) {
					t.Fatalf("element %d is %v, want %v", i, got, x)
				}
			}
		})
	}
}

// An element of a matmul has the bits that a product with the packed weight
// gives it.
func TestMatMulIsProduct(t *testing.T) {
	t.Parallel()
	g := open(t)
	r := rand.New(rand.NewPCG(9, 9))
	m := newMatrix(r, plan.F32, 200, 20)
	w := m.pack(g, false, m.k)
	for _, rows := range []int{3, 70} {
		a := normal(r, rows*m.k)
		want := m.product(g, w, a)
		out := kernels.Tensor{At: g.alloc(int64(4 * rows * m.n)), DType: plan.F32, Shape: []int{rows, m.n}, Strides: []int{m.n, 1}}
		da := kernels.Tensor{At: g.floats(a), DType: plan.F32, Shape: []int{rows, m.k}, Strides: []int{m.k, 1}}
		db := kernels.Tensor{At: g.upload(m.stored(true)), DType: plan.F32, Shape: []int{m.n, m.k}, Strides: []int{m.k, 1}}
		if err := g.set.MatMul(g.st, out, da, db, false, true); err != nil {
			t.Fatal(err)
		}
		sameBits(t, "matmul", m.n, g.download(out.At, rows*m.n), want)
	}
}

func TestMatMulErrors(t *testing.T) {
	t.Parallel()
	g := open(t)
	tensor := func(shape ...int) kernels.Tensor {
		return kernels.Tensor{DType: plan.F32, Shape: shape, Strides: op.ContiguousStrides(shape)}
	}
	for _, c := range [][3]kernels.Tensor{
		{tensor(2, 2), tensor(2, 3), tensor(4, 2)},
		{tensor(3, 2), tensor(2, 3), tensor(3, 2)},
		{tensor(2, 2, 2), tensor(3, 2, 3), tensor(3, 2)},
		{tensor(2), tensor(2, 3), tensor(3, 2)},
		{tensor(2, 2), tensor(5, 2, 3), tensor(3, 2)},
	} {
		if err := g.set.MatMul(g.st, c[0], c[1], c[2], false, false); err == nil {
			t.Errorf("%v and %v to %v: no error", c[1].Shape, c[2].Shape, c[0].Shape)
		}
	}
}
