package kernels

import "github.com/genie-sdk/go/internal/halt"

// GemmPackedI8 is [GemmPacked] with 8-bit weights and a scale for each column,
// from [QuantizeColumns]: B[l][j] is scales[j] * packed[l][j]. packed is the
// layout of [Pack]. Each output is that of [GemmPacked] with the integers as
// float32, in the same order, times its scale, rounded once: besides the
// rounding of the sums, the only error is that of the weights. Its bits depend
// neither on m nor on the range.
func GemmPackedI8(c []float32, ldc int, a []float32, lda int, packed []int8, scales []float32, m, n, k, p0, p1 int, h halt.Func) {
	needScales("GemmPackedI8", len(scales), n)
	gemmNarrow("GemmPackedI8", i8Weights, i8ToF32, c, ldc, a, lda, packed, m, n, k, p0, p1, h)
	if k == 0 {
		return
	}
	j0, j1 := p0*PanelWidth, min(n, p1*PanelWidth)
	for i := range m {
		row := c[i*ldc+j0 : i*ldc+j1]
		mul(row, row, scales[j0:j1])
	}
}

func i8ToF32(dst []float32, src []int8) {
	for i, q := range src {
		dst[i] = float32(q)
	}
}
