//go:build amd64 && !purego

package kernels

import "unsafe"

// The conversions return how many elements they did, a multiple of 16.

const wholeConversions = ^15

func f16ToF32Arch(dst []float32, src []uint16) int {
	n := len(src) & wholeConversions
	switch active {
	case pathAVX512:
		f16ToF32AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	case pathAVX2:
		f16ToF32AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	}
	return 0
}

func bf16ToF32Arch(dst []float32, src []uint16) int {
	n := len(src) & wholeConversions
	switch active {
	case pathAVX512:
		bf16ToF32AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	case pathAVX2:
		bf16ToF32AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	}
	return 0
}

func f32ToF16Arch(dst []uint16, src []float32) int {
	n := len(src) & wholeConversions
	switch active {
	case pathAVX512:
		f32ToF16AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	case pathAVX2:
		f32ToF16AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	}
	return 0
}

func f32ToBF16Arch(dst []uint16, src []float32) int {
	n := len(src) & wholeConversions
	switch active {
	case pathAVX512:
		f32ToBF16AVX512(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	case pathAVX2:
		f32ToBF16AVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
		return n
	}
	return 0
}
