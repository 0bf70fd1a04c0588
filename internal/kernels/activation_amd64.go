//go:build amd64 && !purego

package kernels

import "unsafe"

func unaryArch(op unary, dst, src []float32) bool {
	n := len(dst)
	d, x := unsafe.SliceData(dst), unsafe.SliceData(src)
	switch active {
	case pathAVX512:
		switch op {
		case opGeluTanh:
			geluTanhAVX512(d, x, n)
		case opGeluErf:
			geluErfAVX512(d, x, n)
		case opRelu:
			reluAVX512(d, x, n)
		case opTanh:
			tanhAVX512(d, x, n)
		case opExp:
			expAVX512(d, x, n)
		case opQuickGelu:
			quickGeluAVX512(d, x, n)
		}
		return true
	case pathAVX2:
		switch op {
		case opGeluTanh:
			geluTanhAVX2(d, x, n)
		case opGeluErf:
			geluErfAVX2(d, x, n)
		case opRelu:
			reluAVX2(d, x, n)
		case opTanh:
			tanhAVX2(d, x, n)
		case opExp:
			expAVX2(d, x, n)
		case opQuickGelu:
			quickGeluAVX2(d, x, n)
		}
		return true
	}
	return false
}

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
