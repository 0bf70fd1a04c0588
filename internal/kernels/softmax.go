package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// sumRounder is 1.5*2^16. Adding it to x in float64 and subtracting it again
// rounds x, 0 <= x < 2^15, to a multiple of 2^-36.
const sumRounder = 1.5 * (1 << 16)

// Softmax writes exp(x-max)/sum for one row to dst; dst may be src.
//
// The sum does not depend on the order of the row: each term is rounded to a
// multiple of 2^-36, and such terms add exactly in float64 up to 2^17, so any
// order gives the bits of the sequential order. Entries whose exp is zero (for
// example a mask of -3.4e38 or -Inf) change no other output, wherever they are.
// The sum is at least 1, so the rounding costs less than 2^-37 per entry. The
// terms are then multiplied by float32(1/sum).
//
// The error of a result y is at most 3 units in the last place and
// 2^-24*(max-x)*y, since x-max is rounded; results below 2e-38 may be zero.
//
// A row with NaN or +Inf, or with only -Inf, gives NaN. One that h stops is
// undefined.
func Softmax(dst, src []float32, h halt.Func) {
	needSame("Softmax", len(dst), len(src))
	if len(src) == 0 {
		return
	}
	softmax(dst, src, rowMax(src, h), h)
}

// LogSoftmax writes x-max-log(sum) for one row to dst, which must not be src: the
// logarithm of [Softmax], whose sum it has. A row with NaN or +Inf, or with only
// -Inf, gives NaN. One that h stops is undefined.
func LogSoftmax(dst, src []float32, h halt.Func) {
	needSame("LogSoftmax", len(dst), len(src))
	if len(src) == 0 {
		return
	}
	top := rowMax(src, h)
	var sum float64
	rowParts(len(src), h, func(i, j int) { sum += expSum(dst[i:j], src[i:j], top) })
	log := float32(math.Log(sum))
	rowParts(len(src), h, func(i, j int) {
		SubScalar(dst[i:j], src[i:j], top)
		SubScalar(dst[i:j], dst[i:j], log)
	})
}

// softmax is Softmax with a given greatest element.
func softmax(dst, src []float32, top float32, h halt.Func) {
	if len(src) <= rowPart {
		MulScalar(dst, dst, float32(1/expSum(dst, src, top)))
		return
	}
	var sum float64 // in any order: the terms add exactly
	rowParts(len(src), h, func(i, j int) { sum += expSum(dst[i:j], src[i:j], top) })
	scale := float32(1 / sum)
	rowParts(len(src), h, func(i, j int) { MulScalar(dst[i:j], dst[i:j], scale) })
}

// expSum writes exp(x-top) to dst and returns their sum.
func expSum(dst, src []float32, top float32) float64 {
	sum, ok := expSumArch(dst, src, top)
	if ok {
		return sum
	}
	for i, x := range src {
		e := float32(math.Exp(float64(x - top)))
		dst[i] = e
		// The conversions keep the two steps from being merged.
		sum += float64(float64(float64(e)+sumRounder) - sumRounder)
	}
	return sum
}
