//go:build amd64 && !purego

package kernels

import "unsafe"

func maxWindowArch(dst, x []float32, stride, rows, cols int) bool {
	d, s, row := unsafe.SliceData(dst), unsafe.SliceData(x), uintptr(stride)*elementBytes
	switch active {
	case pathAVX512:
		maxWindowAVX512(d, s, row, rows, cols, len(dst))
		return true
	case pathAVX2:
		maxWindowAVX2(d, s, row, rows, cols, len(dst))
		return true
	}
	return false
}

func meanWindowArch(dst, x []float32, stride, rows, cols int, count float32) bool {
	d, s, row := unsafe.SliceData(dst), unsafe.SliceData(x), uintptr(stride)*elementBytes
	switch active {
	case pathAVX512:
		meanWindowAVX512(d, s, row, rows, cols, count, len(dst))
		return true
	case pathAVX2:
		meanWindowAVX2(d, s, row, rows, cols, count, len(dst))
		return true
	}
	return false
}
