//go:build amd64 && !purego

package kernels

import "unsafe"

// winogradFloats bounds the transformed inputs of a position: CPUs with AVX-512
// have second-level caches of 1 to 2 MB, and filters are read for more tiles.
func winogradFloats() int {
	if active == pathAVX512 {
		return 12288
	}
	return 4096
}

// winogradLanes is the width of the vectors that the inputs are transformed in.
func winogradLanes() int {
	if active == pathAVX512 {
		return 16
	}
	return 8
}

func winogradInputArch(v []float32, stride int, x []float32, row, pixel, channels int) bool {
	to, from := unsafe.SliceData(v), unsafe.SliceData(x)
	strideBytes, rowBytes, pixelBytes := uintptr(stride)*elementBytes, uintptr(row)*elementBytes, uintptr(pixel)*elementBytes
	switch active {
	case pathAVX512:
		winogradInputAVX512(to, strideBytes, from, rowBytes, pixelBytes, channels)
		return true
	case pathAVX2:
		winogradInputAVX2(to, strideBytes, from, rowBytes, pixelBytes, channels)
		return true
	}
	return false
}

// winogradOutputArch writes A^T m A of 16 channels, completed by bias, residual
// (whose distances are those of dst) and relu, to a whole block.
func winogradOutputArch(dst []float32, row, pixel int, m []float32, stride int, bias, residual []float32, relu bool) bool {
	to, from, shift, r := unsafe.SliceData(dst), unsafe.SliceData(m), unsafe.SliceData(bias), unsafe.SliceData(residual)
	rowBytes, pixelBytes, strideBytes := uintptr(row)*elementBytes, uintptr(pixel)*elementBytes, uintptr(stride)*elementBytes
	switch active {
	case pathAVX512:
		winogradOutputAVX512(to, rowBytes, pixelBytes, from, strideBytes, shift, r, relu)
		return true
	case pathAVX2:
		winogradOutputAVX2(to, rowBytes, pixelBytes, from, strideBytes, shift, r, relu)
		return true
	}
	return false
}
