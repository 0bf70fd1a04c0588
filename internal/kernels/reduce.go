package kernels

import "math"

// Sum adds the elements in 16 partial sums by index modulo 16, lanes then added
// in a tree: l and l+8, l and l+4, l and l+2, l and l+1. The sum of nothing is 0. All paths give the same
// bits.
func Sum(src []float32) float32 {
	if len(src) == 0 {
		return 0
	}
	if sum, ok := sumArch(src); ok {
		return sum
	}
	var s [lanes]float32
	for ; len(src) >= lanes; src = src[lanes:] {
		x := (*[lanes]float32)(src)
		for l := range s {
			s[l] += x[l]
		}
	}
	for l, x := range src {
		s[l] += x
	}
	return addLanes(&s)
}

// Max returns the greatest element, NaN if there is a NaN, -Inf for an empty
// slice. Which zero it returns where the greatest elements are 0 and -0 is not
// defined.
func Max(src []float32) float32 {
	top := float32(math.Inf(-1))
	if len(src) == 0 {
		return top
	}
	if top, ok := maxArch(src); ok {
		return top
	}
	for _, x := range src {
		if x > top {
			top = x
		} else if x != x {
			return x
		}
	}
	return top
}

// ArgMax returns the index of the first greatest element, -1 for an empty
// slice. A NaN counts as greater than everything, as in PyTorch and NumPy: the
// first NaN wins.
func ArgMax(src []float32) int {
	// The block that holds it first, by maxima, then its place there.
	const block = 256
	best, at := float32(math.Inf(-1)), 0
	for i := 0; i < len(src); i += block {
		top := Max(src[i:min(i+block, len(src))])
		if top != top {
			best, at = top, i
			break
		}
		if top > best {
			best, at = top, i
		}
	}
	for i := at; i < len(src); i++ {
		if x := src[i]; x == best || x != x {
			return i
		}
	}
	return -1
}
