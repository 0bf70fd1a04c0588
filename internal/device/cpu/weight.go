package cpu

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Bytes implements [device.Weight].
func (w *weight) Bytes() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return int64(len(w.data))
}

// Packed implements [device.Weight].
func (w *weight) Packed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.layout == panels || w.layout == columns || w.packed
}

// Free implements [device.Weight].
func (w *weight) Free() {
	w.d.weights.Free(w.data)
	w.data = nil
}

func (e element) size() int { return [...]int{elemF32: 4, elemF16: 2, elemBF16: 2, elemI8: 1}[e] }

// int8From is the number of elements from which a matrix is worth rounding to 8
// bits.
const int8From = 1 << 12

// element is the type of a weight's elements in panels: that of the checkpoint
// unless the device rounds to 8 bits.
func (d *Device) element(v *plan.Value, k, n int) element {
	switch {
	case d.opts.Int8Weights && k*n >= int8From:
		return elemI8
	case v.Storage == plan.F16:
		return elemF16
	case v.Storage == plan.BF16:
		return elemBF16
	}
	return elemF32
}

// f32 is the content as float32.
func (w *weight) f32() []float32 { return (&op.Array{Data: w.data}).F32() }

func (w *weight) u16() []uint16 { return (&op.Array{Data: w.data}).U16() }
func (w *weight) i8() []int8    { return (&op.Array{Data: w.data}).I8() }

// product computes panels p0 to p1 of C [m, n] = A [m, k] x the matrix.
func (w *weight) product(c []float32, ldc int, a []float32, lda, m, n, k, p0, p1 int, h halt.Func) {
	switch w.elem {
	case elemF32:
		kernels.GemmPacked(c, ldc, a, lda, w.f32(), m, n, k, p0, p1, h)
	case elemF16:
		kernels.GemmPackedF16(c, ldc, a, lda, w.u16(), m, n, k, p0, p1, h)
	case elemBF16:
		kernels.GemmPackedBF16(c, ldc, a, lda, w.u16(), m, n, k, p0, p1, h)
	case elemI8:
		kernels.GemmPackedI8(c, ldc, a, lda, w.i8(), w.scales, m, n, k, p0, p1, h)
	}
}

// row writes row r of the content to dst, unless h stops it.
func (w *weight) row(dst []float32, r int, h halt.Func) {
	transposed := w.layout == columns
	switch {
	case w.elem == elemF32 && transposed:
		kernels.GatherColumnF32(dst, w.f32(), r, w.k, w.n, h)
	case w.elem == elemF32:
		kernels.GatherPackedF32(dst, w.f32(), r, w.k, w.n, h)
	case w.elem == elemF16 && transposed:
		kernels.GatherColumnF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemF16:
		kernels.GatherPackedF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemBF16 && transposed:
		kernels.GatherColumnBF16(dst, w.u16(), r, w.k, w.n, h)
	case w.elem == elemBF16:
		kernels.GatherPackedBF16(dst, w.u16(), r, w.k, w.n, h)
	case transposed:
		kernels.GatherColumnI8(dst, w.i8(), w.scales, r, w.k, w.n, h)
	default:
		kernels.GatherPackedI8(dst, w.i8(), w.scales, r, w.k, w.n, h)
	}
}
