package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

func runRMSNorm(s *step) error {
	rows, n, _, _ := rowRun(s.in[0])
	s.pool.run(s.job, s, rows, rowsPerChunk(n), rmsNormChunk)
	return nil
}

func rmsNormChunk(s *step, lo, hi int) {
	_, n, st, _ := rowRun(s.in[0])
	y, x, w := s.out.F32(), s.in[0].F32(), s.parameter(1, n)
	o := s.op.(op.RMSNorm)
	for r := lo; r < hi; r++ {
		kernels.RMSNorm(y[r*n:r*n+n], x[r*st:r*st+n], w, float32(o.Offset), float32(o.Eps), s.halt)
	}
}

func runLogSoftmax(s *step) error {
	rows, n, _, _ := rowRun(s.in[0])
	s.pool.run(s.job, s, rows, rowsPerChunk(4*n), logSoftmaxChunk)
	return nil
}

func logSoftmaxChunk(s *step, lo, hi int) {
	_, n, st, _ := rowRun(s.in[0])
	y, x := s.out.F32(), s.in[0].F32()
	for r := lo; r < hi && n > 0; r++ {
		kernels.LogSoftmax(y[r*n:r*n+n], x[r*st:r*st+n], s.halt)
	}
}

// runRoPE rotates rows, which may be anywhere.
func runRoPE(s *step) error {
	n := s.out.Shape[len(s.out.Shape)-1]
	s.pool.run(s.job, s, s.out.Len()/n, rowsPerChunk(2*n), ropeChunk)
	return nil
}

func ropeChunk(s *step, lo, hi int) {
	x, cos, sin := s.in[0], s.in[1], s.in[2]
	n, half := s.out.Shape[len(s.out.Shape)-1], cos.Shape[len(cos.Shape)-1]
	rotate := kernels.RotateHalves
	if s.op.(op.RoPE).Interleaved {
		rotate = kernels.RotatePairs
	}
	y := s.out.F32()
	rows := newRowWalk(s.out.Shape, lo, x, cos, sin)
	ask := s.halt.Counter()
	for r := lo; r < hi && !ask.Stop(n); r++ {
		at := &rows.at
		rotate(y[r*n:r*n+n], tail(x, at[0])[:n], tail(cos, at[1])[:half], tail(sin, at[2])[:half], s.halt)
		rows.next()
	}
}

// rowWalk walks the rows of a shape, and those of operands whose leading axes
// broadcast to it.
type rowWalk struct {
	shape []int
	idx   [plan.MaxRank]int
	step  [rowOperands][plan.MaxRank]int
	at    [rowOperands]int // offsets in elements
}

const rowOperands = 3

func newRowWalk(shape []int, row int, of ...*op.Array) (w rowWalk) {
	w.shape = shape[:len(shape)-1]
	for d := len(w.shape) - 1; d >= 0; d-- {
		w.idx[d] = row % shape[d]
		row /= shape[d]
		for k, a := range of {
			if j := d - len(shape) + len(a.Shape); j >= 0 && a.Shape[j] != 1 {
				w.step[k][d] = a.Strides[j]
				w.at[k] += w.idx[d] * a.Strides[j]
			}
		}
	}
	return w
}

func (w *rowWalk) next() {
	for d := len(w.shape) - 1; d >= 0; d-- {
		w.idx[d]++
		for k := range w.at {
			w.at[k] += w.step[k][d]
		}
		if w.idx[d] < w.shape[d] {
			return
		}
		for k := range w.at {
			w.at[k] -= w.idx[d] * w.step[k][d]
		}
		w.idx[d] = 0
	}
}
