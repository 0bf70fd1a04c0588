//go:build amd64 && !purego

package kernels

import "unsafe"

func turnPanelArch(panel, k []float32, ldk, rows, dim int) bool {
	if active == pathGeneric {
		return false
	}
	for j := 0; j < rows; j += 8 {
		from := newMatrix(k, ldk).from(j, 0)
		transposeAVX2(&panel[j], panelBytes, from.at, from.ld, min(8, rows-j), dim)
	}
	return true
}

// prefetchRows brings rows of so many elements, which need not exist, into a cache.
func prefetchRows(at []float32, ld, rows, cols int) {
	if active != pathGeneric && rows > 0 && cols > 0 {
		prefetchAVX2(unsafe.SliceData(at), uintptr(ld)*floatBytes, rows, (cols+PanelWidth-1)/PanelWidth)
	}
}

// hideWhereZeroArch and rotatePairsArch return how many elements they have done.

func hideWhereZeroArch(scores []float32, may []byte) int {
	n := len(scores) &^ 15
	switch active {
	case pathAVX512:
		hideWhereZeroAVX512(unsafe.SliceData(scores), unsafe.SliceData(may), n)
	case pathAVX2:
		hideWhereZeroAVX2(unsafe.SliceData(scores), unsafe.SliceData(may), n)
	default:
		return 0
	}
	return n
}

func scaleWeightedArch(dst, src, weight []float32, scale, offset float32) bool {
	d, x, w, n := unsafe.SliceData(dst), unsafe.SliceData(src), unsafe.SliceData(weight), len(src)
	switch active {
	case pathAVX512:
		scaleWeightedAVX512(d, x, w, scale, offset, n)
	case pathAVX2:
		scaleWeightedAVX2(d, x, w, scale, offset, n)
	default:
		return false
	}
	return true
}

func rotateHalvesArch(ya, yb, a, b, cos, sin []float32) bool {
	xa, xb, pa, pb := unsafe.SliceData(ya), unsafe.SliceData(yb), unsafe.SliceData(a), unsafe.SliceData(b)
	c, s, n := unsafe.SliceData(cos), unsafe.SliceData(sin), len(cos)
	switch active {
	case pathAVX512:
		rotateHalvesAVX512(xa, xb, pa, pb, c, s, n)
	case pathAVX2:
		rotateHalvesAVX2(xa, xb, pa, pb, c, s, n)
	default:
		return false
	}
	return true
}

func rotatePairsArch(dst, src, cos, sin []float32) int {
	d, x, c, s := unsafe.SliceData(dst), unsafe.SliceData(src), unsafe.SliceData(cos), unsafe.SliceData(sin)
	n := len(src) &^ 15
	switch active {
	case pathAVX512:
		rotatePairsAVX512(d, x, c, s, n)
	case pathAVX2:
		rotatePairsAVX2(d, x, c, s, n)
	default:
		return 0
	}
	return n
}
