package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernelchoice"
	"github.com/genie-sdk/go/internal/op"
)

// copyPiece bytes are copied between two halt checks.
const copyPiece = 256 << 10

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
