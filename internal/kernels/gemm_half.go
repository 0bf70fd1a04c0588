package kernels

import (
	"fmt"
	"sync"
)

// GemmPackedBF16 is [GemmPacked] with bfloat16 weights: packed is the layout of
// [Pack] with elements of 16 bits. Each is widened exactly and all sums are
// float32, so every output has the bits that [GemmPacked] gives it with the
// widened matrix.
func GemmPackedBF16(c []float32, ldc int, a []float32, lda int, packed []uint16, m, n, k, p0, p1 int) {
	gemmNarrow("GemmPackedBF16", bf16Weights, BF16ToF32, c, ldc, a, lda, packed, m, n, k, p0, p1)
}

// GemmPackedF16 is [GemmPackedBF16] with IEEE 754 binary16 weights.
func GemmPackedF16(c []float32, ldc int, a []float32, lda int, packed []uint16, m, n, k, p0, p1 int) {
	gemmNarrow("GemmPackedF16", f16Weights, F16ToF32, c, ldc, a, lda, packed, m, n, k, p0, p1)
}

// narrowType is a type of weights that is narrower than a float32.
type narrowType uint8

const (
	bf16Weights narrowType = iota
	f16Weights
	i8Weights
)

// gemmNarrow is [GemmPacked] with weights that widen converts exactly.
func gemmNarrow[E uint16 | int8](op string, of narrowType, widen func([]float32, []E), c []float32, ldc int, a []float32, lda int, packed []E, m, n, k, p0, p1 int) {
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
	if !gemmNarrowArch(of, c, ldc, a, lda, elementsAt(packed), m, n, k, p0, p1) {
		gemmWidened(widen, c, ldc, a, lda, packed, m, n, k, p0, p1)
	}
}

func needPacked(op string, length, k, n int) {
	if length < PackedLen(k, n) {
		panic(fmt.Sprintf("kernels: %s: packed B of %d elements is too short for [%d, %d]", op, length, k, n))
	}
}

// widenBlock rows of a panel are widened at a time: with a tile of A they stay in
// the first cache.
const widenBlock = 256

type widenScratch [widenBlock * PanelWidth]float32

var widenScratches = sync.Pool{New: func() any { return new(widenScratch) }}

// gemmWidened widens each block of a panel once for all rows.
func gemmWidened[E uint16 | int8](widen func([]float32, []E), c []float32, ldc int, a []float32, lda int, packed []E, m, n, k, p0, p1 int) {
	s := widenScratches.Get().(*widenScratch)
	defer widenScratches.Put(s)
	for k0 := 0; k0 < k; k0 += widenBlock {
		k1 := min(k0+widenBlock, k)
		for p := p0; p < p1; p++ {
			block := packed[(p*k+k0)*PanelWidth : (p*k+k1)*PanelWidth]
			panel := s[:len(block)]
			widen(panel, block)
			gemmBlock(c[p*PanelWidth:], ldc, a[k0:], lda, panel, 0, m, min(PanelWidth, n-p*PanelWidth), k1-k0, k0 > 0)
		}
	}
}
