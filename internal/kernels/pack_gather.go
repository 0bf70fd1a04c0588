package kernels

import (
	"fmt"
	"math"
)

// The functions of this file read one row or one column of a packed [k, n]
// matrix, as an embedding does with a matrix that products read too. A row has n
// elements, a column k; dst is as long as that.

// GatherPackedF32 writes one row of a packed float32 matrix.
func GatherPackedF32(dst, packed []float32, row, k, n int) {
	gatherRow("GatherPackedF32", dst, packed, row, k, n, func(dst, src []float32) { copy(dst, src) })
}

// GatherPackedBF16 writes one row of a packed bfloat16 matrix, widened exactly.
func GatherPackedBF16(dst []float32, packed []uint16, row, k, n int) {
	gatherRow("GatherPackedBF16", dst, packed, row, k, n, BF16ToF32)
}

// GatherPackedF16 writes one row of a packed binary16 matrix, widened exactly.
func GatherPackedF16(dst []float32, packed []uint16, row, k, n int) {
	gatherRow("GatherPackedF16", dst, packed, row, k, n, F16ToF32)
}

// GatherPackedI8 writes one row of a matrix that [QuantizeColumns] made, each
// element times the scale of its column, rounded once.
func GatherPackedI8(dst []float32, packed []int8, scales []float32, row, k, n int) {
	needScales("GatherPackedI8", len(scales), n)
	gatherRow("GatherPackedI8", dst, packed, row, k, n, i8ToF32)
	mul(dst, dst, scales[:n])
}

// GatherColumnF32 writes one column of a packed float32 matrix.
func GatherColumnF32(dst, packed []float32, col, k, n int) {
	gatherColumn("GatherColumnF32", dst, packed, col, k, n, func(x float32) float32 { return x })
}

// GatherColumnBF16 writes one column of a packed bfloat16 matrix, widened
// exactly.
func GatherColumnBF16(dst []float32, packed []uint16, col, k, n int) {
	gatherColumn("GatherColumnBF16", dst, packed, col, k, n, func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) })
}

// GatherColumnF16 writes one column of a packed binary16 matrix, widened exactly.
func GatherColumnF16(dst []float32, packed []uint16, col, k, n int) {
	gatherColumn("GatherColumnF16", dst, packed, col, k, n, func(h uint16) float32 { return math.Float32frombits(f16Bits(h)) })
}

// GatherColumnI8 writes one column of a matrix that [QuantizeColumns] made, each
// element times the scale of the column, rounded once.
func GatherColumnI8(dst []float32, packed []int8, scales []float32, col, k, n int) {
	needScales("GatherColumnI8", len(scales), n)
	gatherColumn("GatherColumnI8", dst, packed, col, k, n, func(q int8) float32 { return float32(q) })
	scale := scales[col]
	for l := range dst {
		dst[l] *= scale
	}
}

func gatherRow[E float32 | uint16 | int8](op string, dst []float32, packed []E, row, k, n int, widen func([]float32, []E)) {
	needPacked(op, len(packed), k, n)
	needIndex(op, row, k)
	needSame(op, len(dst), n)
	for j := 0; j < n; j += PanelWidth {
		w := min(PanelWidth, n-j)
		widen(dst[j:j+w], packed[j*k+row*PanelWidth:][:w])
	}
}

func gatherColumn[E float32 | uint16 | int8](op string, dst []float32, packed []E, col, k, n int, widen func(E) float32) {
	needPacked(op, len(packed), k, n)
	needIndex(op, col, n)
	needSame(op, len(dst), k)
	at := col/PanelWidth*PanelWidth*k + col%PanelWidth
	for l := range dst {
		dst[l] = widen(packed[at])
		at += PanelWidth
	}
}

func needIndex(op string, i, limit int) {
	if i < 0 || i >= limit {
		panic(fmt.Sprintf("kernels: %s: index %d is not within 0..%d", op, i, limit))
	}
}
