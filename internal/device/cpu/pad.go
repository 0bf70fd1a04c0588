package cpu

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// padding is the axes of a padding, the inner one of the output's memory first.
// Axes whose elements are side by side in both arrays are one, also where the outer
// one of them is padded with a constant.
type padding struct {
	rank  int
	axes  [plan.MaxRank]paddedAxis
	mode  op.Pad
	value [8]byte // one element of the padding
}

// paddedAxis is n elements of the output, of which those from before on are the
// have elements of the input, stride apart there.
type paddedAxis struct{ n, have, before, stride int }

// whole reports whether the axis is not padded.
func (a *paddedAxis) whole() bool { return a.n == a.have && a.before == 0 }

// imageAxes are the axes of an image with channels last, the inner one first.
var imageAxes = [...]int{1, 3, 2, 0}

// set describes the padding of x to out.
func (p *padding) set(o op.Pad, out, x *op.Array) {
	p.mode, p.rank = o, 0
	o.Put(p.value[:out.DType.Size()], out.DType)
	images := !out.Contiguous()
	for i := range out.Shape {
		d := len(out.Shape) - 1 - i
		if images {
			d = imageAxes[i]
		}
		p.add(paddedAxis{out.Shape[d], x.Shape[d], o.Before[d], x.Strides[d]})
	}
	if p.rank == 0 {
		p.rank, p.axes[0] = 1, paddedAxis{1, 1, 0, 1}
	}
}

// add adds the next axis outwards.
func (p *padding) add(a paddedAxis) {
	if a.n == 1 && a.whole() {
		return
	}
	if p.rank > 0 {
		in := &p.axes[p.rank-1]
		if in.whole() && a.stride == in.n*in.stride && (a.whole() || p.mode.Mode == op.PadConstant) {
			*in = paddedAxis{a.n * in.n, a.have * in.n, a.before * in.n, in.stride}
			return
		}
	}
	p.axes[p.rank] = a
	p.rank++
}

// runPad adds elements at the ends of axes, or cuts them off.
func runPad(s *step) error {
	p := s.pads
	p.set(s.op.(op.Pad), s.out, s.in[0])
	n := p.axes[0].n
	s.pool.run(s.job, s, s.out.Len()/n, rowsPerChunk(n), padChunk)
	return nil
}

// padChunk computes rows lo to hi of the output: parts of its inner axis.
func padChunk(s *step, lo, hi int) {
	p, size := s.pads, s.out.DType.Size()
	n := p.axes[0].n
	ask := s.halt.Counter()
	for row := lo; row < hi; row++ {
		dst := s.out.Data[row*n*size : (row+1)*n*size]
		off, r := 0, row
		for d := 1; d < p.rank && off >= 0; d++ {
			a := &p.axes[d]
			i := p.mode.Source(r%a.n-a.before, a.have)
			if r /= a.n; i < 0 || i >= a.have {
				off = -1
			} else {
				off += i * a.stride
			}
		}
		for at := 0; at < n; at += pieceElems {
			if s.padPiece(dst, off, at, min(at+pieceElems, n)); ask.Stop(min(pieceElems, n)*size + copyStep) {
				return
			}
		}
	}
}

// padPiece computes elements lo to hi of a row whose first element of the input is
// at off; a row of padding has none.
func (s *step) padPiece(dst []byte, off, lo, hi int) {
	p, x, size := s.pads, s.in[0], s.out.DType.Size()
	if off < 0 {
		repeat(dst[lo*size:hi*size], p.value[:size], size)
		return
	}
	a := &p.axes[0]
	own, end := min(max(a.before, lo), hi), max(min(a.before+a.have, hi), lo)
	if end > own {
		gather(dst[own*size:end*size], x.Data[(off+(own-a.before)*a.stride)*size:], a.stride, size)
	}
	s.padEnds(dst, off, lo, own)
	s.padEnds(dst, off, max(end, own), hi)
}

// padEnds computes elements lo to hi of a row, which are not its own.
func (s *step) padEnds(dst []byte, off, lo, hi int) {
	p, x, size := s.pads, s.in[0], s.out.DType.Size()
	a := &p.axes[0]
	if p.mode.Mode == op.PadConstant {
		repeat(dst[lo*size:hi*size], p.value[:size], size)
		return
	}
	for j := lo; j < hi; j++ {
		at := (off + p.mode.Source(j-a.before, a.have)*a.stride) * size
		copy(dst[j*size:(j+1)*size], x.Data[at:at+size])
	}
}
