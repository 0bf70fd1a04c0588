//go:build amd64 && !purego

package kernels

import "unsafe"

func winogradInputArch(v []float32, stride int, x []float32, row, pixel, channels int) bool {
	if active == pathGeneric {
		return false
	}
	winogradInputAVX2(unsafe.SliceData(v), uintptr(stride)*elementBytes, unsafe.SliceData(x), uintptr(row)*elementBytes, uintptr(pixel)*elementBytes, channels)
	return true
}

// winogradOutputArch writes A^T m A of 16 channels, completed by bias, residual
// (whose distances are those of dst) and relu, to a whole block.
func winogradOutputArch(dst []float32, row, pixel int, m []float32, stride int, bias, residual []float32, relu bool) bool {
	if active == pathGeneric {
		return false
	}
	winogradOutputAVX2(unsafe.SliceData(dst), uintptr(row)*elementBytes, uintptr(pixel)*elementBytes, unsafe.SliceData(m), uintptr(stride)*elementBytes,
		unsafe.SliceData(bias), unsafe.SliceData(residual), relu)
	return true
}
