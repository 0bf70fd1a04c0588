package kernels

import (
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/halt"
)

// GemmPackedBF16 is [GemmPacked] with bfloat16 weights: packed is the layout of
// [Pack] with 16-bit elements. Each is widened exactly and all sums are
// float32, so every output has the bits of [GemmPacked] with the widened
// matrix.
func GemmPackedBF16(c []float32, ldc int, a []float32, lda int, packed []uint16, m, n, k, p0, p1 int, h halt.Func) {
	gemmNarrow("GemmPackedBF16", bf16Weights, BF16ToF32, c, ldc, a, lda, packed, m, n, k, p0, p1, h)
}

// GemmPackedF16 is [GemmPackedBF16] with IEEE 754 binary16 weights.
func GemmPackedF16(c []float32, ldc int, a []float32, lda int, packed []uint16, m, n, k, p0, p1 int, h halt.Func) {
	gemmNarrow("GemmPackedF16", f16Weights, F16ToF32, c, ldc, a, lda, packed, m, n, k, p0, p1, h)
}

// narrowType is a type of weights that is narrower than a float32.
type narrowType uint8

const (
	bf16Weights narrowType = iota
	f16Weights
	i8Weights
)

// gemmNarrow is [GemmPacked] with weights that widen converts exactly.
func gemmNarrow[E uint16 | int8](op string, of narrowType, widen func([]float32, []E), c []float32, ldc int, a []float32, lda int, packed []E, m, n, k, p0, p1 int, h halt.Func) {
	needDims(op, m, n, k)
	needRange(op, p0, p1, Panels(n))
	if m == 0 || p0 == p1 {
		return
	}
	needOutput(op, len(c), m, min(n, p1*PanelWidth), ldc)
	needMatrix(op, "A", len(a), m, k, lda)
	needPacked(op, len(packed), k, n)
	if k == 0 {
		clearColumns(c, ldc, m, p0*PanelWidth, min(n, p1*PanelWidth))
		return
	}
	widened := func(panel []float32, j, k0, k1 int) []float32 {
		widen(panel, packed[j*k+k0*PanelWidth:j*k+k1*PanelWidth])
		return panel
	}
	if k > longDepth {
		gemmLong(c, ldc, a, lda, m, p0*PanelWidth, min(n, p1*PanelWidth), k, false, h, widened)
		return
	}
	gemmParts(m, p0*PanelWidth, min(n, p1*PanelWidth), k, h, func(i0, i1, j0, j1 int) {
		c, a := c[i0*ldc:], a[i0*lda:]
		if !gemmNarrowArch(of, c, ldc, a, lda, elementsAt(packed), i1-i0, n, k, j0/PanelWidth, Panels(j1)) {
			gemmLong(c, ldc, a, lda, i1-i0, j0, j1, k, false, h, widened)
		}
	})
}

func needPacked(op string, length, k, n int) {
	if length < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: %s: packed B of %d elements is too short for [%d, %d]", op, length, k, n))
	}
}

// widenBlock rows of a panel are widened at a time: with a tile of A they stay
// in the first-level cache.
const widenBlock = 256

type widenScratch [widenBlock * PanelWidth]float32

var widenScratches = sync.Pool{New: func() any { return new(widenScratch) }}
