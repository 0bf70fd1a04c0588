package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// MatMul is the matrix product of the last two axes, op(A) [..., m, k] times
// op(B) [..., k, n], each transposed first if its flag is set. Leading axes
// broadcast as in NumPy, so a rank-2 B serves every batch.
type MatMul struct{ TransA, TransB bool }

// Name is matmul.
func (MatMul) Name() string { return "matmul" }

// Traits are those of a product.
func (MatMul) Traits() Traits { return Traits{Class: ClassProduct, Layer: true} }

// Attrs are the transpose flags.
func (o MatMul) Attrs() plan.Attrs {
	return plan.Attrs{plan.BoolAttr("trans_a", o.TransA), plan.BoolAttr("trans_b", o.TransB)}
}

func decodeMatMul(r *plan.AttrReader) Op { return MatMul{r.Bool("trans_a"), r.Bool("trans_b")} }

// Infer checks the inner dimension and broadcasts the batch.
func (o MatMul) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	a, b := in[0].Shape, in[1].Shape
	if len(a) < 2 || len(b) < 2 {
		return plan.Spec{}, shapeErr("matmul of %v and %v, want rank 2 or more", a, b)
	}
	m, ka := matDims(a, o.TransA)
	kb, n := matDims(b, o.TransB)
	if !ka.Equal(kb) {
		return plan.Spec{}, shapeErr("matmul of %v and %v: inner dimensions %v and %v", a, b, ka, kb)
	}
	batch, err := broadcast(a[:len(a)-2], b[:len(b)-2])
	if err != nil {
		return plan.Spec{}, err
	}
	return plan.Spec{DType: plan.F32, Shape: append(batch, m, n)}, wantF32(in...)
}

func matDims(s plan.Shape, trans bool) (rows, cols plan.Dim) {
	r, c := s[len(s)-2], s[len(s)-1]
	if trans {
		return c, r
	}
	return r, c
}

// Rows are those of A, with one B for all of them.
func (o MatMul) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	rank, a, b := len(out.Shape), in[0].Shape, in[1].Shape
	rows := s.Axis == rank-2 || s.Axis < rank-2 && len(b) == 2
	return firstRows(in, s), o, rows && !o.TransA && len(a) == rank
}

// FLOPs is 2*m*n*k for each matrix of the batch.
func (o MatMul) FLOPs(in [][]int, out []int) float64 {
	a := in[0]
	k := a[len(a)-1]
	if o.TransA {
		k = a[len(a)-2]
	}
	return 2 * fproduct(out) * float64(k)
}

// Eval is the reference kernel; it accumulates in float64.
func (o MatMul) Eval(out *Array, in []*Array, h halt.Func) error {
	a, b := in[0], in[1]
	ra, rb, ro := len(a.Shape), len(b.Shape), len(out.Shape)
	am, ak := a.Strides[ra-2], a.Strides[ra-1]
	k := a.Shape[ra-1]
	if o.TransA {
		am, ak, k = ak, am, a.Shape[ra-2]
	}
	bk, bn := b.Strides[rb-2], b.Strides[rb-1]
	if o.TransB {
		bk, bn = bn, bk
	}
	sa := append((&Array{Shape: a.Shape[:ra-2], Strides: a.Strides[:ra-2]}).BroadcastStrides(out.Shape[:ro-2]), am, 0)
	sb := append((&Array{Shape: b.Shape[:rb-2], Strides: b.Strides[:rb-2]}).BroadcastStrides(out.Shape[:ro-2]), 0, bn)
	fa, fb, fo := a.F32(), b.F32(), out.F32()
	ask := h.Counter()
	return walk(out.Shape, &ask, k, func(p []int) {
		var sum float64
		for i := range k {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			sum += float64(fa[p[1]+i*ak]) * float64(fb[p[2]+i*bk])
		}
		fo[p[0]] = float32(sum)
	}, out.Strides, sa, sb)
}
