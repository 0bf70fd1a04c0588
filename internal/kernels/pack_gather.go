package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// The functions of this file read one row or one column of a packed [k, n]
// matrix, for example for an embedding whose matrix products read too. A row
// has n elements, a column k; dst has the same length, and is undefined when h
// stops them.

// gatherStep is the work of one access, as [halt.Counter] counts it: most miss the
// caches.
const gatherStep = 64

// GatherPackedF32 writes one row of a packed float32 matrix.
func GatherPackedF32(dst, packed []float32, row, k, n int, h halt.Func) {
	gatherRow("GatherPackedF32", dst, packed, row, k, n, h, func(dst, src []float32) { copy(dst, src) })
}

// GatherPackedBF16 writes one row of a packed bfloat16 matrix, widened exactly.
func GatherPackedBF16(dst []float32, packed []uint16, row, k, n int, h halt.Func) {
	gatherRow("GatherPackedBF16", dst, packed, row, k, n, h, BF16ToF32)
}

// GatherPackedF16 writes one row of a packed binary16 matrix, widened exactly.
func GatherPackedF16(dst []float32, packed []uint16, row, k, n int, h halt.Func) {
	gatherRow("GatherPackedF16", dst, packed, row, k, n, h, F16ToF32)
}

// GatherPackedI8 writes one row of a matrix of [QuantizeColumns], each element
// times the scale of its column, rounded once.
func GatherPackedI8(dst []float32, packed []int8, scales []float32, row, k, n int, h halt.Func) {
	needScales("GatherPackedI8", len(scales), n)
	gatherRow("GatherPackedI8", dst, packed, row, k, n, h, i8ToF32)
	rowParts(n, h, func(i, j int) { mul(dst[i:j], dst[i:j], scales[i:j]) })
}

// GatherColumnF32 writes one column of a packed float32 matrix.
func GatherColumnF32(dst, packed []float32, col, k, n int, h halt.Func) {
	gatherColumn("GatherColumnF32", dst, packed, col, k, n, h, func(x float32) float32 { return x })
}

// GatherColumnBF16 writes one column of a packed bfloat16 matrix, widened
// exactly.
func GatherColumnBF16(dst []float32, packed []uint16, col, k, n int, h halt.Func) {
	gatherColumn("GatherColumnBF16", dst, packed, col, k, n, h, func(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) })
}

// GatherColumnF16 writes one column of a packed binary16 matrix, widened exactly.
func GatherColumnF16(dst []float32, packed []uint16, col, k, n int, h halt.Func) {
	gatherColumn("GatherColumnF16", dst, packed, col, k, n, h, func(h uint16) float32 { return math.Float32frombits(f16Bits(h)) })
}

// GatherColumnI8 writes one column of a matrix of [QuantizeColumns], each
// element times the scale of the column, rounded once.
func GatherColumnI8(dst []float32, packed []int8, scales []float32, col, k, n int, h halt.Func) {
	needScales("GatherColumnI8", len(scales), n)
	gatherColumn("GatherColumnI8", dst, packed, col, k, n, h, func(q int8) float32 { return float32(q) })
	scale := scales[col]
	rowParts(k, h, func(i, j int) { MulScalar(dst[i:j], dst[i:j], scale) })
}

func gatherRow[E float32 | uint16 | int8](op string, dst []float32, packed []E, row, k, n int, h halt.Func, widen func([]float32, []E)) {
	needPacked(op, len(packed), k, n)
	needIndex(op, row, k)
	needSame(op, len(dst), n)
	ask := h.Counter()
	for j := 0; j < n; j += PanelWidth {
		if ask.Stop(gatherStep) {
			return
		}
		w := min(PanelWidth, n-j)
		widen(dst[j:j+w], packed[j*k+row*PanelWidth:][:w])
	}
}

func gatherColumn[E float32 | uint16 | int8](op string, dst []float32, packed []E, col, k, n int, h halt.Func, widen func(E) float32) {
	needPacked(op, len(packed), k, n)
	needIndex(op, col, n)
	needSame(op, len(dst), k)
	at := col/PanelWidth*PanelWidth*k + col%PanelWidth
	ask := h.Counter()
	for l := range dst {
		if ask.Stop(gatherStep) {
			return
		}
		dst[l] = widen(packed[at])
		at += PanelWidth
	}
}

func needIndex(op string, i, limit int) {
	if i < 0 || i >= limit {
		panic(fmt.Sprintf("kernels: %s: index %d is not within 0..%d", op, i, limit))
	}
}
