package engine

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// runMatMul multiplies with the kernels wherever the rows of both sides are
// dense. All of them give an element the same bits, so which one runs does not
// show.
func runMatMul(s *step) error {
	a, b, out := s.in[0], s.in[1], s.out
	ro := len(out.Shape)
	m, n := out.Shape[ro-2], out.Shape[ro-1]
	k := a.Shape[len(a.Shape)-1]
	if out.Len() == 0 {
		return nil
	}
	if s.panel != panels && (!unitRows(a) || !unitRows(b)) {
		return runReference(s)
	}
	if len(b.Shape) == 2 {
		if rows, _, _, ok := rowRun(a); ok {
			s.pool.run(s.job, s, colBlocks(n), blocksPerChunk(rows*k*colBlock), matMulFlatChunk)
			return nil
		}
	}
	s.pool.run(s.job, s, out.Len()/(m*n), max(1, grainMACs/max(m*n*k, 1)), matMulBatchChunk)
	return nil
}

// unitRows reports whether the rows (last axis) are dense.
func unitRows(a *op.Array) bool {
	last := len(a.Shape) - 1
	return a.Shape[last] == 1 || a.Strides[last] == 1
}

const (
	colBlock  = kernels.PanelWidth
	grainMACs = 64 << 10
)

func colBlocks(n int) int { return (n + colBlock - 1) / colBlock }

func blocksPerChunk(macs int) int { return max(1, 4*grainMACs/max(macs, 1)) }

// matMulFlatChunk computes columns for all rows of a against one matrix.
func matMulFlatChunk(s *step, lo, hi int) {
	a, b := s.in[0], s.in[1]
	rows, k, lda, _ := rowRun(a)
	n := s.out.Shape[len(s.out.Shape)-1]
	if s.panel == panels {
		kernels.GemmPacked(s.out.F32(), n, a.F32(), lda, s.packed, rows, n, k, lo, hi)
		return
	}
	n0, n1 := lo*colBlock, min(hi*colBlock, n)
	if s.op.(op.MatMul).TransB {
		kernels.GemmNT(s.out.F32(), n, a.F32(), lda, b.F32(), b.Strides[0], rows, n0, n1, k)
	} else {
		kernels.GemmNN(s.out.F32(), n, a.F32(), lda, b.F32(), b.Strides[0], rows, n0, n1, k)
	}
}

// matMulBatchChunk computes matrices lo to hi of a batch.
func matMulBatchChunk(s *step, lo, hi int) {
	a, b, out := s.in[0], s.in[1], s.out
	ra, rb, ro := len(a.Shape), len(b.Shape), len(out.Shape)
	m, n, k := out.Shape[ro-2], out.Shape[ro-1], a.Shape[ra-1]
	trans := s.op.(op.MatMul).TransB
	for i := lo; i < hi; i++ {
		oa, ob, at := 0, 0, i
		for d := ro - 3; d >= 0; d-- {
			idx := at % out.Shape[d]
			at /= out.Shape[d]
			if j := d - ro + ra; j >= 0 && a.Shape[j] != 1 {
				oa += idx * a.Strides[j]
			}
			if j := d - ro + rb; j >= 0 && b.Shape[j] != 1 {
				ob += idx * b.Strides[j]
			}
		}
		c := out.F32()[i*m*n : (i+1)*m*n]
		switch {
		case s.panel == panels:
			kernels.GemmPacked(c, n, a.F32()[oa:], a.Strides[ra-2], s.packed, m, n, k, 0, kernels.Panels(n))
		case trans:
			kernels.GemmNT(c, n, tail(a, oa), a.Strides[ra-2], tail(b, ob), b.Strides[rb-2], m, 0, n, k)
		default:
			kernels.GemmNN(c, n, tail(a, oa), a.Strides[ra-2], tail(b, ob), b.Strides[rb-2], m, 0, n, k)
		}
	}
}

func tail(a *op.Array, off int) []float32 {
	f := a.F32()
	return f[min(off, len(f)):]
}
