package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
)

// runMatMul multiplies batches of matrices.
func runMatMul(s *step) error {
	a, out := s.in[0], s.out
	ro := len(out.Shape)
	m, n, k := out.Shape[ro-2], out.Shape[ro-1], a.Shape[len(a.Shape)-1]
	if out.Len() == 0 {
		return nil
	}
	s.pool.run(s.job, s, out.Len()/(m*n), max(1, grainMACs/max(m*n*k, 1)), matMulChunk)
	return nil
}

// matMulChunk computes matrices lo to hi of a batch.
func matMulChunk(s *step, lo, hi int) {
	a, b, out := s.in[0], s.in[1], s.out
	ro := len(out.Shape)
	m, n, k := out.Shape[ro-2], out.Shape[ro-1], a.Shape[len(a.Shape)-1]
	lda, ldb := a.Strides[len(a.Shape)-2], b.Strides[len(b.Shape)-2]
	ask := s.halt.Counter()
	for i := lo; i < hi; i++ {
		if ask.Stop(m * n * k) {
			return
		}
		x, y := tail(a, batchOffset(a, out, i)), tail(b, batchOffset(b, out, i))
		c := out.F32()[i*m*n : (i+1)*m*n]
		if s.op.(op.MatMul).TransB {
			kernels.GemmNT(c, n, x, lda, y, ldb, m, 0, n, k, s.halt)
		} else {
			kernels.GemmNN(c, n, x, lda, y, ldb, m, 0, n, k, s.halt)
		}
	}
}
