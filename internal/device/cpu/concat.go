package cpu

import (
	"github.com/genie-sdk/go/internal/op"
)

func runConcat(s *step) error {
	axis := s.op.(op.Concat).Axis
	if axis < 0 {
		axis += len(s.out.Shape)
	}
	at := 0
	for _, in := range s.in {
		if s.copyPart(in, axis, at); s.halt.Now() {
			return nil
		}
		at += in.Shape[axis]
	}
	return nil
}

// copyPart copies in to the output from position at along axis.
func (s *step) copyPart(in *op.Array, axis, at int) {
	if in.Len() == 0 {
		return
	}
	out := s.out
	s.copyTo(&op.Array{DType: out.DType, Shape: in.Shape, Strides: out.Strides, Data: out.Data[at*out.Strides[axis]*out.DType.Size():]}, in)
}

// runWriteRows writes rows over those of a cache from a position on: in place
// where the cache is carried state.
func runWriteRows(s *step) error {
	axis := s.op.(op.WriteRows).Axis
	if axis < 0 {
		axis += len(s.out.Shape)
	}
	cache, rows := s.in[0], s.in[1]
	if s.out.Len() == 0 {
		return nil
	}
	pos, n := s.in[2].Int(0), rows.Shape[axis]
	if pos < 0 || pos > s.out.Shape[axis]-n {
		return op.RowsError(n, pos, s.out.Shape[axis])
	}
	if &s.out.Data[0] != &cache.Data[0] {
		if s.copyTo(s.out, cache); s.halt.Now() {
			return nil
		}
	}
	s.copyPart(rows, axis, pos)
	return nil
}

// runAppend writes the new rows after the valid ones, in the state's memory.
func runAppend(s *step) error {
	rows := s.in[1]
	outer := 1
	for _, n := range rows.Shape[:s.appendAxis()] {
		outer *= n
	}
	if n := rows.Len(); n > 0 {
		s.pool.run(s.job, s, outer, max(1, grainElems/(n/outer)), appendChunk)
	}
	return nil
}

func (s *step) appendAxis() int {
	axis := s.op.(op.Append).Axis
	if axis < 0 {
		axis += len(s.out.Shape)
	}
	return axis
}

// appendChunk appends positions lo to hi of the axes before the growing one.
func appendChunk(s *step, lo, hi int) {
	axis := s.appendAxis()
	rows := s.in[1]
	for i := lo; i < hi; i++ {
		from, to, at := 0, s.in[0].Shape[axis]*s.out.Strides[axis], i
		for d := axis - 1; d >= 0; d-- {
			from += at % rows.Shape[d] * rows.Strides[d]
			to += at % rows.Shape[d] * s.out.Strides[d]
			at /= rows.Shape[d]
		}
		s.appendRows(axis, from, to)
	}
}

// appendRows appends the rows that begin at element from to memory from element to
// on, or to the pages that they belong to.
func (s *step) appendRows(axis, from, to int) {
	rows, size := s.in[1], s.out.DType.Size()
	in := op.Array{DType: rows.DType, Shape: rows.Shape[axis:], Strides: rows.Strides[axis:], Data: rows.Data[from*size:]}
	out := op.Array{DType: rows.DType, Shape: in.Shape, Strides: s.out.Strides[axis:]}
	if !s.values.paged() {
		out.Data = s.out.Data[to*size:]
		copyStrided(&out, &in, s.halt)
		return
	}
	// to is where the rows would begin if the first page had no end.
	to -= s.in[0].Shape[axis] * s.out.Strides[axis]
	in.Shape, in.Strides, out.Shape, out.Strides = in.Shape[1:], in.Strides[1:], in.Shape[1:], out.Strides[1:]
	ask := s.halt.Counter()
	for r := range rows.Shape[axis] {
		at := s.in[0].Shape[axis] + r
		in.Data = rows.Data[(from+r*rows.Strides[axis])*size:]
		out.Data = s.values.mem[at/s.values.rows][(to+at%s.values.rows*s.out.Strides[axis])*size:]
		if copyStrided(&out, &in, s.halt); ask.Stop(copyStep) {
			return
		}
	}
}
