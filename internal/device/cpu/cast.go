package cpu

import (
	"math"

	"github.com/genie-sdk/go/transport/plan"
)

// castKernel is the kernel of a conversion, see op.Cast; nil for half formats.
func castKernel(from, to plan.DType) blockKernel {
	switch from {
	case plan.F32:
		return castFloats(to)
	case plan.I32:
		return castInts[int32](to)
	case plan.I64:
		return castInts[int64](to)
	case plan.Bool:
		return castBools(to)
	default:
		return nil
	}
}

// converting is a kernel that applies f to each element.
func converting[T, R any](f func(dst []R, src []T)) blockKernel {
	return func(dst, a, _, _ []byte) { f(elems[R](dst), elems[T](a)) }
}

func castFloats(to plan.DType) blockKernel {
	switch to {
	case plan.F32:
		return converting(func(dst, src []float32) { copy(dst, src) })
	case plan.I32:
		return converting(truncate32)
	case plan.I64:
		return converting(truncate64)
	case plan.Bool:
		return converting(isTrue[float32])
	default:
		return nil
	}
}

// truncate32 rounds towards zero; what is out of range becomes the nearest
// integer, NaN 0.
func truncate32(dst []int32, src []float32) {
	for i, x := range src[:len(dst)] {
		switch {
		case x > -1<<31 && x < 1<<31:
			dst[i] = int32(x)
		case x != x:
			dst[i] = 0
		case x > 0:
			dst[i] = math.MaxInt32
		default:
			dst[i] = math.MinInt32
		}
	}
}

// truncate64 is truncate32 of 64 bits.
func truncate64(dst []int64, src []float32) {
	for i, x := range src[:len(dst)] {
		switch {
		case x > -1<<63 && x < 1<<63:
			dst[i] = int64(x)
		case x != x:
			dst[i] = 0
		case x > 0:
			dst[i] = math.MaxInt64
		default:
			dst[i] = math.MinInt64
		}
	}
}

func isTrue[T float32 | int32 | int64 | byte](dst []byte, src []T) {
	for i, x := range src[:len(dst)] {
		dst[i] = 0
		if x != 0 {
			dst[i] = 1
		}
	}
}

func castInts[T int32 | int64](to plan.DType) blockKernel {
	switch to {
	case plan.F32:
		return converting(func(dst []float32, src []T) {
			for i, x := range src[:len(dst)] {
				dst[i] = float32(float64(x))
			}
		})
	case plan.I32:
		return converting(func(dst []int32, src []T) {
			for i, x := range src[:len(dst)] {
				dst[i] = int32(x)
			}
		})
	case plan.I64:
		return converting(func(dst []int64, src []T) {
			for i, x := range src[:len(dst)] {
				dst[i] = int64(x)
			}
		})
	case plan.Bool:
		return converting(isTrue[T])
	default:
		return nil
	}
}

func castBools(to plan.DType) blockKernel {
	switch to {
	case plan.F32:
		return converting(fromBools[float32])
	case plan.I32:
		return converting(fromBools[int32])
	case plan.I64:
		return converting(fromBools[int64])
	case plan.Bool:
		return converting(isTrue[byte])
	default:
		return nil
	}
}

func fromBools[T float32 | int32 | int64](dst []T, src []byte) {
	for i, x := range src[:len(dst)] {
		dst[i] = T(min(x, 1))
	}
}
