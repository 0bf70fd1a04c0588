//go:build amd64 && !purego

package kernels

import "unsafe"

// selectArch picks whole vectors of n elements, and returns how many elements
// that were.
func selectArch(size int, dst, cond, a, b unsafe.Pointer, n int) int {
	if active == pathGeneric {
		return 0
	}
	d, c, x, y := (*byte)(dst), (*byte)(cond), (*byte)(a), (*byte)(b)
	n &^= 64/size - 1
	wide := active == pathAVX512
	switch {
	case size == 1 && wide:
		select1AVX512(d, c, x, y, n)
	case size == 1:
		select1AVX2(d, c, x, y, n)
	case size == 4 && wide:
		select4AVX512(d, c, x, y, n)
	case size == 4:
		select4AVX2(d, c, x, y, n)
	case wide:
		select8AVX512(d, c, x, y, n)
	default:
		select8AVX2(d, c, x, y, n)
	}
	return n
}

func clipArch(dst, src []float32, lo, hi float32) bool {
	d, x := unsafe.SliceData(dst), unsafe.SliceData(src)
	switch active {
	case pathAVX512:
		clipAVX512(d, x, lo, hi, len(dst))
	case pathAVX2:
		clipAVX2(d, x, lo, hi, len(dst))
	default:
		return false
	}
	return true
}

// streamArch copies as much of src as fills groups of lines to dst, which begins
// a line, and returns how many bytes that were.
func streamArch(dst, src []byte) int {
	n := len(dst) &^ 255
	switch active {
	case pathAVX512:
		streamAVX512(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	case pathAVX2:
		streamAVX2(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	default:
		return 0
	}
	return n
}
