package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// LayerNorm normalises one row: (x-mean)/sqrt(var+eps)*gamma + beta, with the
// biased variance in two passes, as PyTorch's layer_norm documents it. gamma
// and beta are as long as the row, or nil for 1 and 0. dst may be src.
//
// For rows of up to 4096 elements the error of a result y is at most
// 1e-5*(|y| + |mean|/deviation), before gamma and beta. A row that holds NaN or
// an infinity gives NaN. Where the variance overflows the results are 0.
//
// Both sums have 16 partial sums by index modulo 16, added in the tree of
// [Sum]. A row that h stops is undefined.
func LayerNorm(dst, src, gamma, beta []float32, eps float32, h halt.Func) {
	needSame("LayerNorm", len(dst), len(src))
	if gamma != nil {
		needSame("LayerNorm", len(gamma), len(src))
	}
	if beta != nil {
		needSame("LayerNorm", len(beta), len(src))
	}
	if len(src) == 0 {
		return
	}
	n := float32(len(src))
	mean := rowSum(src, h) / n
	variance := rowSquaredDistance(src, mean, h) / n
	scale := float32(1 / math.Sqrt(float64(variance)+float64(eps)))
	if len(src) <= rowPart {
		affine(dst, src, gamma, beta, mean, scale)
		return
	}
	rowParts(len(src), h, func(i, j int) { affine(dst[i:j], src[i:j], part(gamma, i, j), part(beta, i, j), mean, scale) })
}

// part is the elements i to j, nil of nil.
func part(s []float32, i, j int) []float32 {
	if s == nil {
		return nil
	}
	return s[i:j]
}

// affine writes (x-mean)*scale*gamma + beta.
func affine(dst, src, gamma, beta []float32, mean, scale float32) {
	if gamma != nil && beta != nil && normaliseAffineArch(dst, src, gamma, beta, mean, scale) {
		return
	}
	normalise(dst, src, mean, scale)
	if gamma != nil {
		mul(dst, dst, gamma)
	}
	if beta != nil {
		add(dst, dst, beta)
	}
}

func sumSquaredDistance(src []float32, mean float32) float32 {
	if len(src) == 0 {
		return 0
	}
	if sum, ok := sumSquaredDistanceArch(src, mean); ok {
		return sum
	}
	var s [lanes]float32
	for i, x := range src {
		d := x - mean
		s[i%lanes] += float32(d * d)
	}
	return addLanes(&s)
}

func normalise(dst, src []float32, mean, scale float32) {
	if normaliseArch(dst, src, mean, scale) {
		return
	}
	for i, x := range src {
		dst[i] = (x - mean) * scale
	}
}
