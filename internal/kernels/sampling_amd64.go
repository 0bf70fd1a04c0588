//go:build amd64 && !purego

package kernels

import "unsafe"

// drawWeightsArch returns how many elements it did.
func drawWeightsArch(dst []float64, src []float32, top, temperature float64) int {
	n := len(src) &^ 7
	switch active {
	case pathAVX512:
		drawWeightsAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), top, temperature, n)
		return n
	case pathAVX2:
		drawWeightsAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), top, temperature, n)
		return n
	}
	return 0
}

// skipBelowArch returns a number of elements from the first one on that are all
// below least. The next group contains one that is not, or is the incomplete
// rest.
func skipBelowArch(src []float32, least float32) int {
	switch active {
	case pathAVX512:
		return skipBelowAVX512(unsafe.SliceData(src), least, len(src))
	case pathAVX2:
		return skipBelowAVX2(unsafe.SliceData(src), least, len(src))
	}
	return 0
}
