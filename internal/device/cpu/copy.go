package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// odometer walks the outer axes of a shape without allocating.
type odometer struct {
	idx  [plan.MaxRank]int
	left int
}

func newOdometer(shape []int) (o odometer) {
	o.left = 1
	for _, n := range shape {
		o.left *= n
	}
	return o
}

// next moves to the next position and updates one offset for each stride list.
func (o *odometer) next(shape []int, off *int, st []int, off2 *int, st2 []int) bool {
	if o.left--; o.left <= 0 {
		return false
	}
	for d := len(shape) - 1; d >= 0; d-- {
		o.idx[d]++
		*off += st[d]
		*off2 += st2[d]
		if o.idx[d] < shape[d] {
			return true
		}
		*off -= st[d] * shape[d]
		*off2 -= st2[d] * shape[d]
		o.idx[d] = 0
	}
	return false
}

// copyPiece bytes are copied between two halt checks.
const copyPiece = 256 << 10

// copyStrided copies in to out, which have one shape and element type, or a part
// of it when h says stop.
func copyStrided(out, in *op.Array, h halt.Func) {
	size := in.DType.Size()
	if copyImage(out, in, size, h) {
		return
	}
	// The longest tail that is dense in both is copied at once.
	run, outer := 1, len(in.Shape)
	for outer > 0 && (in.Shape[outer-1] == 1 || in.Strides[outer-1] == run && out.Strides[outer-1] == run) {
		run *= in.Shape[outer-1]
		outer--
	}
	od := newOdometer(in.Shape[:outer])
	if od.left == 0 || run == 0 {
		return
	}
	var a, b int
	run *= size
	ask := h.Counter()
	for {
		to, from := out.Data[a*size:a*size+run], in.Data[b*size:b*size+run]
		for i := 0; i < run; i += copyPiece {
			n := copy(to[i:min(i+copyPiece, run)], from[i:])
			if ask.Stop(n + copyStep) {
				return
			}
		}
		if !od.next(in.Shape[:outer], &a, out.Strides, &b, in.Strides) {
			return
		}
	}
}

// copyStep is the work of finding a dense run, as [halt.Counter] counts it.
const copyStep = 64

// copyImage is copyStrided for images of 4-byte elements whose channels move to
// the front or to the back: a transposition by blocks.
func copyImage(out, in *op.Array, size int, h halt.Func) bool {
	if size != 4 || len(in.Shape) != 4 || in.Len() == 0 {
		return false
	}
	n, c, pixels := in.Shape[0], in.Shape[1], in.Shape[2]*in.Shape[3]
	move := kernels.ChannelsFirst
	switch {
	case c == 1 || pixels == 1: // not a transposition
		return false
	case lastChannels(in) && out.Contiguous():
	case in.Contiguous() && lastChannels(out):
		move = kernels.ChannelsLast
	default:
		return false
	}
	move(out.F32()[:in.Len()], in.F32()[:in.Len()], n, c, pixels, 0, kernels.LayoutUnits(n, pixels), h)
	return true
}

// copyDense copies a to mem without gaps.
func copyDense(mem []byte, a *op.Array, h halt.Func) {
	var strides [plan.MaxRank]int
	n := 1
	for d := len(a.Shape) - 1; d >= 0; d-- {
		strides[d] = n
		n *= a.Shape[d]
	}
	dense := op.Array{DType: a.DType, Shape: a.Shape, Strides: strides[:len(a.Shape)], Data: mem}
	copyStrided(&dense, a, h)
}

// rowRun, flat, unitRows and lastChannels describe strides as the choice of a
// kernel does.

func rowRun(a *op.Array) (rows, n, stride int, ok bool) { return kernelchoice.Rows(a) }

func flat(out *op.Array, in ...*op.Array) bool { return kernelchoice.Flat(out, in...) }

func unitRows(a *op.Array) bool { return kernelchoice.UnitRows(a) }

func lastChannels(a *op.Array) bool { return kernelchoice.LastChannels(a) }

// share is part i of n positions cut into parts of nearly equal size.
func share(n, parts, i int) (lo, hi int) { return i * n / parts, (i + 1) * n / parts }

// rowOffset is the offset in elements of row r, with rows counted over all axes
// but the last.
func rowOffset(a *op.Array, r int) int {
	off := 0
	for d := len(a.Shape) - 2; d >= 0; d-- {
		off += r % a.Shape[d] * a.Strides[d]
		r /= a.Shape[d]
	}
	return off
}

func tail(a *op.Array, off int) []float32 {
	f := a.F32()
	return f[min(off, len(f)):]
}

// batchOffset is the offset in elements of a's matrix for matrix i of out, with
// a's leading axes broadcast to those of out.
func batchOffset(a, out *op.Array, i int) int {
	off := 0
	for d := len(out.Shape) - 3; d >= 0; d-- {
		if j := d - len(out.Shape) + len(a.Shape); j >= 0 && a.Shape[j] != 1 {
			off += i % out.Shape[d] * a.Strides[j]
		}
		i /= out.Shape[d]
	}
	return off
}

// bytes is the memory of a buffer, which may be nil.
func bytes(b device.Buffer) []byte {
	if b == nil {
		return nil
	}
	return b.(*buffer).mem
}

// pieces calls f for the pieces of a row of n elements until the step is halted.
func (s *step) pieces(n int, f func(i, j int)) {
	for i := 0; i < n; i += pieceElems {
		if i > 0 && s.halt.Now() {
			return
		}
		f(i, min(i+pieceElems, n))
	}
}

// grainElems is the work below which help costs more than it saves.
const grainElems = 16 << 10

// pieceElems elements of a row are computed between two halt checks.
const pieceElems = 64 << 10

// rowsPerChunk gives chunks of about grainElems elements.
func rowsPerChunk(n int) int { return max(1, grainElems/max(n, 1)) }

// copyPieces copies all of src until h says stop.
func copyPieces(dst, src []byte, h halt.Func) {
	for i := 0; i < len(src) && (i == 0 || !h.Now()); i += copyPiece {
		copy(dst[i:], src[i:min(i+copyPiece, len(src))])
	}
}
