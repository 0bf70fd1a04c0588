package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// Sum adds the elements in 16 partial sums by index modulo 16, and then the
// lanes in a tree: l and l+8, l and l+4, l and l+2, l and l+1. An empty sum is
// 0. All paths give the same bits.
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
	if top, nan, ok := maxArch(src); ok {
		if nan {
			return float32(math.NaN())
		}
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

// Min returns the least element, NaN if there is a NaN, Inf for an empty slice.
// Which zero it returns where the least elements are 0 and -0 is not defined.
func Min(src []float32) float32 {
	least := float32(math.Inf(1))
	if len(src) == 0 {
		return least
	}
	if least, nan, ok := minArch(src); ok {
		if nan {
			return float32(math.NaN())
		}
		return least
	}
	for _, x := range src {
		if x < least {
			least = x
		} else if x != x {
			return x
		}
	}
	return least
}

// ArgMax returns the index of the first greatest element, -1 for an empty
// slice. NaN is never the greatest; if no element is above -Inf the index is 0.
// When h stops it the index is undefined.
func ArgMax(src []float32, h halt.Func) int {
	if len(src) == 0 {
		return -1
	}
	// First the block that contains it, by maxima, then its place there.
	const block = 1024
	best, at := float32(math.Inf(-1)), -1
	ask := h.Counter()
	for i := 0; i < len(src); i += block {
		if ask.Stop(block) {
			return 0
		}
		if top := topNumber(src[i:min(i+block, len(src))]); top > best {
			best, at = top, i
		}
	}
	if at < 0 {
		return 0
	}
	return firstAtLeast(src, at, best)
}

// topNumber is Max that ignores NaN.
func topNumber(src []float32) float32 {
	if top, _, ok := maxArch(src); ok {
		return top
	}
	top := float32(math.Inf(-1))
	for _, x := range src {
		if x > top {
			top = x
		}
	}
	return top
}
