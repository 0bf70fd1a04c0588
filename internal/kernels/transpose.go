package kernels

import "unsafe"

// Transpose writes src [rows, cols], its rows lds apart, to dst [cols, rows], its
// rows ldd apart. It is for blocks that fit into the first caches.
func Transpose[T selectable](dst []T, ldd int, src []T, lds, rows, cols int) {
	needMatrix("Transpose", "src", len(src), rows, cols, lds)
	needOutput("Transpose", len(dst), cols, rows, ldd)
	if rows == 0 || cols == 0 {
		return
	}
	if d, ok := any(dst).([]uint32); ok {
		s := any(src).([]uint32)
		transpose(floats(d), ldd, floats(s), lds, rows, cols)
		return
	}
	for j := range cols {
		line := dst[j*ldd:][:rows]
		for i := range line {
			line[i] = src[i*lds+j]
		}
	}
}

// floats are the same bits.
func floats(s []uint32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}
