package kernels

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// rowPart elements of a row are processed at once. A longer row is processed in
// parts that may be stopped between.
const rowPart = 1 << 18

// rowParts calls f for the parts of a row of n elements until h says stop.
func rowParts(n int, h halt.Func, f func(i, j int)) {
	for i := 0; i < n; i += rowPart {
		if i > 0 && h.Now() {
			return
		}
		f(i, min(i+rowPart, n))
	}
}

// rowMax is Max of a row.
func rowMax(src []float32, h halt.Func) float32 {
	top := float32(math.Inf(-1))
	rowParts(len(src), h, func(i, j int) {
		// A NaN stays: nothing is greater.
		if x := Max(src[i:j]); x > top || x != x {
			top = x
		}
	})
	return top
}

// rowSum is [Sum] of a row.
func rowSum(src []float32, h halt.Func) float32 {
	if len(src) <= rowPart {
		return Sum(src)
	}
	return rowLanes(len(src), h, func(s *[lanes]float32, i, j int) {
		for x := src[i:j]; len(x) >= lanes; x = x[lanes:] {
			for l, v := range (*[lanes]float32)(x) {
				s[l] += v
			}
		}
		for l, v := range src[j-(j-i)%lanes : j] {
			s[l] += v
		}
	})
}

// rowSquaredDistance is the sum of the squared distances of a row.
func rowSquaredDistance(src []float32, mean float32, h halt.Func) float32 {
	if len(src) <= rowPart {
		return sumSquaredDistance(src, mean)
	}
	return rowLanes(len(src), h, func(s *[lanes]float32, i, j int) {
		for l, x := range src[i:j] {
			d := x - mean
			s[l%lanes] += float32(d * d)
		}
	})
}

// rowLanes adds the parts of a row in partial sums, by index modulo lanes.
func rowLanes(n int, h halt.Func, add func(s *[lanes]float32, i, j int)) float32 {
	var s [lanes]float32
	rowParts(n, h, func(i, j int) { add(&s, i, j) })
	return addLanes(&s)
}
