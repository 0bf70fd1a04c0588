//go:build amd64 && !purego

package kernels

import "unsafe"

// expSumArch writes e^(x-top) and returns the sum of the rounded terms.
func expSumArch(dst, src []float32, top float32) (float64, bool) {
	d, x := unsafe.SliceData(dst), unsafe.SliceData(src)
	switch active {
	case pathAVX512:
		return expSumAVX512(d, x, top, len(src)), true
	case pathAVX2:
		return expSumAVX2(d, x, top, len(src)), true
	}
	return 0, false
}
