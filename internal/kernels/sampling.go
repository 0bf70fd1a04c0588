package kernels

import (
	"fmt"
	"math"

	"github.com/genie-sdk/go/internal/halt"
)

// DrawWeights writes the weights for drawing elements,
// e^((logits[i]-top)/temperature), to dst. top is the greatest logit and
// finite, temperature is greater than 0. A logit of NaN or -Inf has weight 0.
//
// Every operation is rounded to float64, so all paths and all machines give the
// same bits; the relative error of the exponential is below 1e-14. When h stops
// it the weights are undefined.
func DrawWeights(dst []float64, logits []float32, top, temperature float32, h halt.Func) {
	needSame("DrawWeights", len(dst), len(logits))
	rowParts(len(logits), h, func(i, j int) { drawWeights(dst[i:j], logits[i:j], top, temperature) })
}

func drawWeights(dst []float64, logits []float32, top, temperature float32) {
	done := drawWeightsArch(dst, logits, float64(top), float64(temperature))
	for i, x := range logits[done:] {
		dst[done+i] = drawWeight((float64(x) - float64(top)) / float64(temperature))
	}
}

// drawWeight is e to the x for x <= 0 by range reduction and a Taylor
// polynomial. The conversions keep operations from being merged.
func drawWeight(x float64) float64 {
	if !(x >= -745) {
		return 0
	}
	const ln2hi, ln2lo = 6.93147180369123816490e-01, 1.90821492927058770002e-10
	k := math.Floor(float64(x*math.Log2E) + 0.5)
	r := float64(x-float64(k*ln2hi)) - float64(k*ln2lo)
	p := 1.0 / 87178291200
	for _, c := range [...]float64{
		1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
		1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1, 1,
	} {
		p = float64(p*r) + c
	}
	return math.Ldexp(p, int(k))
}

// TopK finds the k largest elements, largest first and equal ones by index, and
// writes them to values and their indices to indices. NaN comes after
// everything else. k is at most len(src); the outputs have k elements or more,
// and do not overlap src. When h stops it they are undefined.
func TopK(values []float32, indices []int32, src []float32, k int, h halt.Func) {
	if k < 0 || k > len(src) || k > len(values) || k > len(indices) {
		panic(fmt.Sprintf("kernels: TopK: %d of %d elements to %d values and %d indices", k, len(src), len(values), len(indices)))
	}
	// The best elements so far, as a heap with the worst at its root.
	best, at := ranking{values[:0], indices[:0]}, 0
	ask := h.Counter()
	for ; len(best.values) < k && at < len(src); at++ {
		if ask.Stop(1) {
			return
		}
		if x := src[at]; x == x {
			best = ranking{append(best.values, x), append(best.indices, int32(at))}
		}
	}
	n := len(best.values)
	for i := n/2 - 1; i >= 0; i-- {
		if ask.Stop(heapStep) {
			return
		}
		best.down(i, n)
	}
	for n > 0 && n == k && at < len(src) {
		// An equal element with a higher index is not better.
		from, to := at, min(at+rowPart, len(src))
		at = firstAtLeast(src[:to], at, math.Nextafter32(best.values[0], float32(math.Inf(1))))
		if ask.Stop(at - from + heapStep) {
			return
		}
		if at == to {
			continue
		}
		if !(src[at] > best.values[0]) {
			break
		}
		best.values[0], best.indices[0] = src[at], int32(at)
		best.down(0, n)
		at++
	}
	for last := n - 1; last > 0; last-- {
		if ask.Stop(heapStep) {
			return
		}
		best.swap(0, last)
		best.down(0, last)
	}
	for i := 0; n < k; i++ {
		if ask.Stop(1) {
			return
		}
		if x := src[i]; x != x {
			values[n], indices[n] = x, int32(i)
			n++
		}
	}
}

// firstAtLeast is the index of the first element from at on that is at least
// least, len(src) if there is none.
func firstAtLeast(src []float32, at int, least float32) int {
	for at < len(src) {
		at += skipBelowArch(src[at:], least)
		group := src[at:min(at+skipGroup, len(src))]
		for i, x := range group {
			if x >= least {
				return at + i
			}
		}
		at += len(group)
	}
	return at
}

// skipGroup is the greatest number of elements that skipBelowArch tests
// together.
const skipGroup = 64

// heapStep is the work of restoring a heap, as [halt.Counter] counts it: a large
// one misses the caches.
const heapStep = 64

type ranking struct {
	values  []float32
	indices []int32
}

func (r ranking) swap(i, j int) {
	r.values[i], r.values[j] = r.values[j], r.values[i]
	r.indices[i], r.indices[j] = r.indices[j], r.indices[i]
}

// after reports whether element i ranks after element j.
func (r ranking) after(i, j int) bool {
	return r.values[i] < r.values[j] || r.values[i] == r.values[j] && r.indices[i] > r.indices[j]
}

// down restores the heap of the first n elements below i.
func (r ranking) down(i, n int) {
	for {
		child := 2*i + 1
		if child >= n {
			return
		}
		if child+1 < n && r.after(child+1, child) {
			child++
		}
		if !r.after(child, i) {
			return
		}
		r.swap(i, child)
		i = child
	}
}
