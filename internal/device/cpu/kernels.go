package cpu

import (
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

func runSoftmax(s *step) error {
	rows, n, _, _ := rowRun(s.in[0])
	s.pool.run(s.job, s, rows, rowsPerChunk(4*n), softmaxChunk)
	return nil
}

func softmaxChunk(s *step, lo, hi int) {
	_, n, st, _ := rowRun(s.in[0])
	y, x := s.out.F32(), s.in[0].F32()
	for r := lo; r < hi && n > 0; r++ {
		kernels.Softmax(y[r*n:r*n+n], x[r*st:r*st+n], s.halt)
	}
}

func runLayerNorm(s *step) error {
	rows, n, _, _ := rowRun(s.in[0])
	s.pool.run(s.job, s, rows, rowsPerChunk(n), layerNormChunk)
	return nil
}

// parameter is the vector of n elements that is input k of a normalisation, nil
// for none.
func (s *step) parameter(k, n int) []float32 {
	if len(s.in) <= k {
		return nil
	}
	return s.in[k].F32()[:n]
}

func layerNormChunk(s *step, lo, hi int) {
	_, n, st, _ := rowRun(s.in[0])
	y, x, g, b := s.out.F32(), s.in[0].F32(), s.parameter(1, n), s.parameter(2, n)
	eps := float32(s.op.(op.LayerNorm).Eps)
	for r := lo; r < hi; r++ {
		kernels.LayerNorm(y[r*n:r*n+n], x[r*st:r*st+n], g, b, eps, s.halt)
	}
}

// runEmbedding copies rows of the table, which may be stored in panels.
func runEmbedding(s *step) error {
	t, idx := s.in[0], s.in[1]
	if s.out.Len() == 0 {
		return nil
	}
	rows, w := t.Shape[0], t.Shape[1]
	ask := s.halt.Counter()
	for i := range idx.Len() {
		if ask.Stop(1) {
			return nil
		}
		if r := idx.Int(i); r < 0 || r >= rows {
			return op.IndexError(r, rows)
		}
	}
	s.pool.run(s.job, s, idx.Len(), rowsPerChunk(4*w), embeddingChunk)
	return nil
}

func embeddingChunk(s *step, lo, hi int) {
	t, idx := s.in[0], s.in[1]
	w := t.Shape[1]
	y := s.out.F32()
	for i := lo; i < hi; i++ {
		r, row := idx.Int(i), y[i*w:i*w+w]
		if s.packed != nil {
			s.packed.row(row, r, s.halt)
		} else {
			s.pieces(w, func(i, j int) { copy(row[i:j], t.F32()[r*w+i:r*w+j]) })
		}
	}
}

func runCausalMask(s *step) error {
	rows, n, _, _ := rowRun(s.in[0])
	s.pool.run(s.job, s, rows, rowsPerChunk(n), causalMaskChunk)
	return nil
}

func causalMaskChunk(s *step, lo, hi int) {
	_, k, st, _ := rowRun(s.in[0])
	r := len(s.out.Shape)
	q := s.out.Shape[r-2]
	y, x := s.out.F32(), s.in[0].F32()
	o := s.op.(op.CausalMask)
	perBatch := s.out.Len() / max(s.out.Shape[0]*k, 1)
	for row := lo; row < hi; row++ {
		start := 0
		if len(s.in) == 2 {
			start = s.in[1].Int(row / perBatch * s.in[1].Strides[0])
		}
		from, to := o.Range(row%q, q, k, start)
		from, to = min(from, k), max(min(to, k), 0)
		from = min(from, to)
		dst := y[row*k : row*k+k]
		s.pieces(k, func(i, j int) {
			piece, lo, hi := dst[i:j], min(max(from, i), j), min(max(to, i), j)
			fill(piece[:lo-i])
			copy(piece[lo-i:], x[row*st+lo:row*st+hi])
			fill(piece[hi-i:])
		})
	}
}

func fill(v []float32) {
	for i := range v {
		v[i] = op.MaskValue
	}
}

func runCopy(s *step) error {
	in := *s.in[0]
	if o, ok := s.op.(op.Transpose); ok {
		return o.Eval(s.out, s.in, s.halt)
	}
	copyStrided(s.out, &in, s.halt)
	return nil
}

// runReshape copies in row-major order of the input's shape.
func runReshape(s *step) error {
	var strides [plan.MaxRank]int
	in := s.in[0]
	n := 1
	for i := len(in.Shape) - 1; i >= 0; i-- {
		strides[i] = n
		n *= in.Shape[i]
	}
	out := op.Array{DType: in.DType, Shape: in.Shape, Strides: strides[:len(in.Shape)], Data: s.out.Data}
	copyStrided(&out, in, s.halt)
	return nil
}
