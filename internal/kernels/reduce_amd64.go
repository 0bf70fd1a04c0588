//go:build amd64 && !purego

package kernels

import "unsafe"

func sumArch(src []float32) (float32, bool) {
	switch active {
	case pathAVX512:
		return sumAVX512(unsafe.SliceData(src), len(src)), true
	case pathAVX2:
		return sumAVX2(unsafe.SliceData(src), len(src)), true
	}
	return 0, false
}

func sumSquaredDistanceArch(src []float32, mean float32) (float32, bool) {
	switch active {
	case pathAVX512:
		return sumSquaredDistanceAVX512(unsafe.SliceData(src), mean, len(src)), true
	case pathAVX2:
		return sumSquaredDistanceAVX2(unsafe.SliceData(src), mean, len(src)), true
	}
	return 0, false
}

// maxArch returns the greatest element that is not NaN, -Inf if there is none,
// and whether there is a NaN.
func maxArch(src []float32) (top float32, nan, ok bool) {
	if active == pathGeneric || len(src) < lanes {
		return 0, false, false
	}
	var tops [lanes]float32
	var nans [lanes]uint32
	used := lanes
	if active == pathAVX512 {
		maximaAVX512(&tops, &nans, unsafe.SliceData(src), len(src))
	} else {
		used = lanes / 2
		maximaAVX2(&tops, &nans, unsafe.SliceData(src), len(src))
	}
	top = tops[0]
	met := nans[0]
	for l, x := range tops[:used] {
		met |= nans[l]
		if x > top {
			top = x
		}
	}
	return top, met != 0, true
}

// minArch is maxArch of the least element.
func minArch(src []float32) (least float32, nan, ok bool) {
	if active == pathGeneric || len(src) < lanes {
		return 0, false, false
	}
	var all [lanes]float32
	var nans [lanes]uint32
	used := lanes
	if active == pathAVX512 {
		minimaAVX512(&all, &nans, unsafe.SliceData(src), len(src))
	} else {
		used = lanes / 2
		minimaAVX2(&all, &nans, unsafe.SliceData(src), len(src))
	}
	least = all[0]
	met := nans[0]
	for l, x := range all[:used] {
		met |= nans[l]
		least = min(least, x)
	}
	return least, met != 0, true
}

func normaliseArch(dst, src []float32, mean, scale float32) bool {
	d, x := unsafe.SliceData(dst), unsafe.SliceData(src)
	switch active {
	case pathAVX512:
		normaliseAVX512(d, x, mean, scale, len(src))
		return true
	case pathAVX2:
		normaliseAVX2(d, x, mean, scale, len(src))
		return true
	}
	return false
}

func normaliseAffineArch(dst, src, gamma, beta []float32, mean, scale float32) bool {
	d, x, w, b := unsafe.SliceData(dst), unsafe.SliceData(src), unsafe.SliceData(gamma), unsafe.SliceData(beta)
	switch active {
	case pathAVX512:
		normaliseAffineAVX512(d, x, w, b, mean, scale, len(src))
		return true
	case pathAVX2:
		normaliseAffineAVX2(d, x, w, b, mean, scale, len(src))
		return true
	}
	return false
}
