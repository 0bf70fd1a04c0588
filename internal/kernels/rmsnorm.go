package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// RMSNorm normalises one row: x/sqrt(mean(x*x)+eps)*(offset+weight). weight is
// as long as the row, or nil for 1. dst may be src.
//
// For rows of up to 4096 elements the error of a result is at most 2e-6 of it.
// A row that holds NaN or an infinity gives NaN. Where the sum of squares
// overflows the results are 0.
//
// The sum has 16 partial sums by index modulo 16, added in the tree of [Sum]. A
// row that h stops is undefined.
func RMSNorm(dst, src, weight []float32, offset, eps float32, h halt.Func) {
	needSame("RMSNorm", len(dst), len(src))
	if weight != nil {
		needSame("RMSNorm", len(weight), len(src))
	}
	if len(src) == 0 {
		return
	}
	square := rowSquaredDistance(src, 0, h) / float32(len(src))
	scale := float32(1 / math.Sqrt(float64(square)+float64(eps)))
	if len(src) <= rowPart {
		scaleWeighted(dst, src, weight, scale, offset)
		return
	}
	rowParts(len(src), h, func(i, j int) { scaleWeighted(dst[i:j], src[i:j], part(weight, i, j), scale, offset) })
}

// scaleWeighted writes (x*scale)*(offset+weight).
func scaleWeighted(dst, src, weight []float32, scale, offset float32) {
	switch {
	case weight == nil:
		MulScalar(dst, src, scale)
	case scaleWeightedArch(dst, src, weight, scale, offset):
	default:
		for i, x := range src {
			dst[i] = float32(x*scale) * float32(offset+weight[i])
		}
	}
}
