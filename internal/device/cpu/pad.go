package cpu

import (
	"unsafe"

	"github.com/genie-sdk/go/internal/op"
)

// runPad adds elements at the ends of axes, or cuts them off.
func runPad(s *step) error {
	o, last := s.op.(op.Pad), len(s.out.Shape)-1
	if last < 0 {
		return s.op.Eval(s.out, s.in, s.halt)
	}
	o.Put(s.padElement(), s.out.DType)
	n := s.out.Shape[last]
	s.pool.run(s.job, s, s.out.Len()/n, rowsPerChunk(n), padChunk)
	return nil
}

// padElement is one element of the padding.
func (s *step) padElement() []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&s.constant)), s.out.DType.Size())
}

// padChunk computes rows lo to hi of the output.
func padChunk(s *step, lo, hi int) {
	o, x, out := s.op.(op.Pad), s.in[0], s.out
	last, size := len(out.Shape)-1, out.DType.Size()
	n, have, before := out.Shape[last], x.Shape[last], o.Before[last]
	from, to := min(max(before, 0), n), min(max(before+have, 0), n) // the row's own elements
	ask := s.halt.Counter()
	for row := lo; row < hi; row++ {
		dst := out.Data[row*n*size : (row+1)*n*size]
		off, r := 0, row
		for d := last - 1; d >= 0 && off >= 0; d-- {
			i := o.Source(r%out.Shape[d]-o.Before[d], x.Shape[d])
			if r /= out.Shape[d]; i < 0 || i >= x.Shape[d] {
				off = -1
			} else {
				off += i * x.Strides[d]
			}
		}
		for at := 0; at < n; at += pieceElems {
			if s.padPiece(dst, off, at, min(at+pieceElems, n), from, to); ask.Stop(min(pieceElems, n)*size + copyStep) {
				return
			}
		}
	}
}

// padPiece computes elements lo to hi of a row, of which from..to
// are its own; a row of padding has no offset.
func (s *step) padPiece(dst []byte, off, lo, hi, from, to int) {
	o, x, size, value := s.op.(op.Pad), s.in[0], s.out.DType.Size(), s.padElement()
	if off < 0 {
		repeat(dst[lo*size:hi*size], value, size)
		return
	}
	last := len(x.Shape) - 1
	own, end := min(max(from, lo), hi), max(min(to, hi), lo)
	if end > own {
		stride := x.Strides[last]
		gather(dst[own*size:end*size], x.Data[(off+(own-o.Before[last])*stride)*size:], stride, size)
	}
	s.padEnds(dst, off, lo, own, value)
	s.padEnds(dst, off, max(end, own), hi, value)
}

// padEnds computes elements lo to hi of a row, which are not its own.
func (s *step) padEnds(dst []byte, off, lo, hi int, value []byte) {
	o, x, size := s.op.(op.Pad), s.in[0], len(value)
	last := len(x.Shape) - 1
	if o.Mode == op.PadConstant {
		repeat(dst[lo*size:hi*size], value, size)
		return
	}
	for j := lo; j < hi; j++ {
		at := (off + o.Source(j-o.Before[last], x.Shape[last])*x.Strides[last]) * size
		copy(dst[j*size:(j+1)*size], x.Data[at:at+size])
	}
}
