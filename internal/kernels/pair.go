package kernels

import "unsafe"

// The functions of this file find kernels that compute dst[i] from a[i] and b[i],
// slices of equal length, by the name of an operator: nil where there is none.
// dst may be the same slice as an input of its type, but must not overlap one
// otherwise. All paths give the same bits, except of NaN.

// PairF32 is for float32: add, sub, mul, div, pow, and min and max, which are NaN if
// one of the two is; -0 is less than 0.
func PairF32(operator string) func(dst, a, b []float32) {
	switch operator {
	case "add":
		return Add
	case "sub":
		return Sub
	case "mul":
		return Mul
	case "div":
		return Div
	case "pow":
		return Pow
	}
	return pairsF32[operator]
}

// PairI32 is for int32: add, sub and mul, which wrap, min and max.
func PairI32(operator string) func(dst, a, b []int32) { return pairsI32[operator] }

// PairI64 is [PairI32] for int64.
func PairI64(operator string) func(dst, a, b []int64) { return pairsI64[operator] }

// PairBool is for bytes of which those that are not zero are true, and whose
// results are 0 or 1: and, or, xor and equal.
func PairBool(operator string) func(dst, a, b []byte) { return pairsBool[operator] }

// CompareF32 is for float32: equal, less, less_equal, greater and greater_equal,
// which give 0 or 1, always 0 where one of the two is NaN.
func CompareF32(operator string) func(dst []byte, a, b []float32) { return comparisonsF32[operator] }

// CompareI32 is [CompareF32] for int32.
func CompareI32(operator string) func(dst []byte, a, b []int32) { return comparisonsI32[operator] }

// CompareI64 is [CompareF32] for int64.
func CompareI64(operator string) func(dst []byte, a, b []int64) { return comparisonsI64[operator] }

// pairLengths is the length of three slices.
func pairLengths(dst, a, b int) int {
	needSame("a function of two inputs", dst, a)
	needSame("a function of two inputs", dst, b)
	return dst
}

func pointer[T any](s []T) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(s)) }

func one(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// selectable are the types that [Select] picks, by size.
type selectable interface{ ~uint8 | ~uint32 | ~uint64 }

// Select writes a[i] where cond[i] is not zero, else b[i], to dst[i]. The slices
// are of equal length; dst may be a or b.
func Select[T selectable](dst []T, cond []byte, a, b []T) {
	n := pairLengths(len(dst), len(a), len(b))
	needSame("Select", n, len(cond))
	var element T
	i := selectArch(int(unsafe.Sizeof(element)), pointer(dst), pointer(cond), pointer(a), pointer(b), n)
	for ; i < n; i++ {
		if cond[i] != 0 {
			dst[i] = a[i]
		} else {
			dst[i] = b[i]
		}
	}
}

// Clip writes min(max(src[i], lo), hi) to dst[i]; NaN stays NaN. dst may be src.
func Clip(dst, src []float32, lo, hi float32) {
	needSame("Clip", len(dst), len(src))
	if clipArch(dst, src, lo, hi) {
		return
	}
	for i, x := range src {
		dst[i] = min(max(x, lo), hi)
	}
}

// Stream is copy for a destination that is far larger than the caches: it is
// written past them where the CPU can, without reading it first.
func Stream(dst, src []byte) {
	needSame("Stream", len(dst), len(src))
	const line = 64
	// Up to a line's beginning, whole groups of lines, and the rest.
	lead := min(-int(uintptr(pointer(dst)))&(line-1), len(dst))
	copy(dst[:lead], src)
	done := lead + streamArch(dst[lead:], src[lead:])
	copy(dst[done:], src[done:])
}
