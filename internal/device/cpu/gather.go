package cpu

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// gathering is the geometry of a gather: of x [a..., n, b...] it takes [b...] at
// each position of a and each index.
type gathering struct {
	axis  int
	count int  // indices
	inner int  // elements of b
	dense bool // b is stored without gaps
	wrap  bool // a negative index counts from the end
}

func (s *step) setGather(axis int, wrap bool) {
	x, g := s.in[0], &s.gather
	if axis < 0 {
		axis += len(x.Shape)
	}
	*g = gathering{axis: axis, count: s.in[1].Len(), inner: 1, dense: true, wrap: wrap}
	for d := len(x.Shape) - 1; d > axis; d-- {
		g.dense = g.dense && (x.Shape[d] == 1 || x.Strides[d] == g.inner)
		g.inner *= x.Shape[d]
	}
}

// indexOffset is the offset of index i, in row-major order.
func indexOffset(idx *op.Array, i int) int {
	off := 0
	for d, n := range slices.Backward(idx.Shape) {
		off += i % n * idx.Strides[d]
		i /= n
	}
	return off
}

// index is index i; one that counts from the end is not negative any more.
func (s *step) index(i int) int {
	idx := s.in[1]
	if !s.denseIndex {
		i = indexOffset(idx, i)
	}
	r := idx.Int(i)
	if r < 0 && s.gather.wrap {
		r += s.in[0].Shape[s.gather.axis]
	}
	return r
}

// checkIndices returns the error of the first index outside of the axis.
func (s *step) checkIndices() error {
	n := s.in[0].Shape[s.gather.axis]
	s.denseIndex = s.in[1].Contiguous()
	ask := s.halt.Counter()
	for i := range s.in[1].Len() {
		if ask.Stop(1) {
			return nil
		}
		if r := s.index(i); r < 0 || r >= n {
			if s.gather.wrap && r < 0 {
				r -= n
			}
			return op.IndexError(r, n)
		}
	}
	return nil
}

// runGather takes positions along an axis.
func runGather(s *step) error {
	s.setGather(s.op.(op.Gather).Axis, true)
	return s.gatherAll()
}

func (s *step) gatherAll() error {
	if s.out.Len() == 0 {
		return nil
	}
	if err := s.checkIndices(); err != nil {
		return err
	}
	s.pool.run(s.job, s, s.out.Len()/s.gather.inner, rowsPerChunk(s.gather.inner), gatherChunk)
	return nil
}

func gatherChunk(s *step, lo, hi int) {
	x, g, size := s.in[0], &s.gather, s.out.DType.Size()
	stride, outer := x.Strides[g.axis], op.Array{Shape: x.Shape[:g.axis], Strides: x.Strides[:g.axis]}
	ask := s.halt.Counter()
	base, next := 0, lo // the offset of the outer position until unit next
	for u := lo; u < hi; u++ {
		if u == next {
			base = indexOffset(&outer, u/g.count)
			next = (u/g.count + 1) * g.count
		}
		from := (base + s.index(u%g.count)*stride) * size
		dst := s.out.Data[u*g.inner*size : (u+1)*g.inner*size]
		switch {
		case g.dense && len(dst) <= copyPiece:
			copy(dst, x.Data[from:from+len(dst)])
		case g.dense:
			copyPieces(dst, x.Data[from:from+len(dst)], s.halt)
		default:
			rank := len(x.Shape) - g.axis - 1
			lead := len(s.out.Shape) - rank
			out := op.Array{DType: x.DType, Shape: s.out.Shape[lead:], Strides: s.out.Strides[lead:], Data: dst}
			copyStrided(&out, &op.Array{DType: x.DType, Shape: x.Shape[g.axis+1:], Strides: x.Strides[g.axis+1:], Data: x.Data[from:]}, s.halt)
		}
		if ask.Stop(len(dst) + copyStep) {
			return
		}
	}
}

// runPick takes one position of each sequence.
func runPick(s *step) error {
	x, idx := s.in[0], s.in[1]
	if s.out.Len() == 0 {
		return nil
	}
	ask := s.halt.Counter()
	for b := range x.Shape[0] {
		i := idx.Int(b * idx.Strides[0])
		if i < 0 || i >= x.Shape[1] {
			return op.IndexError(i, x.Shape[1])
		}
		out := op.Array{DType: x.DType, Shape: x.Shape[2:], Strides: s.out.Strides[1:], Data: s.out.Data[4*b*s.out.Strides[0]:]}
		from := op.Array{DType: x.DType, Shape: x.Shape[2:], Strides: x.Strides[2:], Data: x.Data[4*(b*x.Strides[0]+i*x.Strides[1]):]}
		if copyStrided(&out, &from, s.halt); ask.Stop(copyStep) {
			return nil
		}
	}
	return nil
}

// runGatherElements takes single elements along an axis.
func runGatherElements(s *step) error {
	if s.out.Len() == 0 {
		return nil
	}
	s.setGather(s.op.(op.GatherElements).Axis, true)
	if err := s.checkIndices(); err != nil {
		return err
	}
	s.pool.run(s.job, s, s.out.Len(), grainElems/4, gatherElementsChunk)
	return nil
}

func gatherElementsChunk(s *step, lo, hi int) {
	x, idx, axis, size := s.in[0], s.in[1], s.gather.axis, s.out.DType.Size()
	last := len(idx.Shape) - 1
	ask := s.halt.Counter()
	for e := lo; e < hi; {
		// A part of a row of the last axis.
		row, at := e/idx.Shape[last], e%idx.Shape[last]
		n := min(hi-e, idx.Shape[last]-at)
		from, index := at*x.Strides[last], at*idx.Strides[last]
		for d := last - 1; d >= 0; d-- {
			if i := row % idx.Shape[d]; d != axis {
				from += i * x.Strides[d]
				index += i * idx.Strides[d]
			} else {
				index += i * idx.Strides[d]
			}
			row /= idx.Shape[d]
		}
		step := x.Strides[last]
		if axis == last {
			from, step = from-at*x.Strides[last], 0
		}
		for i := range n {
			r := idx.Int(index + i*idx.Strides[last])
			if r < 0 {
				r += x.Shape[axis]
			}
			off := (from + i*step + r*x.Strides[axis]) * size
			copy(s.out.Data[(e+i)*size:(e+i+1)*size], x.Data[off:off+size])
		}
		if e += n; ask.Stop(16 * n) {
			return
		}
	}
}
