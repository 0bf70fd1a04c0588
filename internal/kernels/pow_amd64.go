//go:build amd64 && !purego

package kernels

import "unsafe"

// powArch computes powers and returns how many elements a word of left has, and
// whether it left any.
func powArch(dst, a, b []float32, left *[powBlock / 8]uint16) (perWord int, some bool) {
	d, x, y := unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b)
	switch active {
	case pathAVX512:
		return 16, powAVX512(d, x, y, &left[0], len(dst)) != 0
	case pathAVX2:
		return 8, powAVX2(d, x, y, &left[0], len(dst)) != 0
	}
	return 0, false
}
