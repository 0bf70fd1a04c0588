package kernels

import "math"

// powBlock elements are computed at once.
const powBlock = 512

// Pow writes a[i] to the power b[i] to dst[i], of slices of equal length, as C's
// pow: x to the power 0 is 1 for every x, and that of a negative number with an
// exponent that is not an integer is NaN. The error is at most 0.51 units in the
// last place. dst may be a, but must not overlap an input otherwise.
func Pow(dst, a, b []float32) {
	needSame("Pow", len(dst), len(a))
	needSame("Pow", len(dst), len(b))
	for ; len(dst) >= powBlock; dst, a, b = dst[powBlock:], a[powBlock:], b[powBlock:] {
		powWhole(dst[:powBlock], a[:powBlock], b[:powBlock])
	}
	n := len(dst) &^ (lanes - 1)
	powWhole(dst[:n], a[:n], b[:n])
	if n < len(dst) { // in a whole vector
		var x, y [lanes]float32
		copy(x[:], a[n:])
		copy(y[:], b[n:])
		powWhole(x[:], x[:], y[:])
		copy(dst[n:], x[:])
	}
}

// powWhole computes whole vectors, at most powBlock elements.
func powWhole(dst, a, b []float32) {
	var left [powBlock / 8]uint16
	perWord, some := powArch(dst, a, b, &left)
	switch {
	case perWord == 0:
		for i, x := range a {
			dst[i] = power(x, b[i])
		}
	case some:
		for i := range dst {
			if left[i/perWord]>>(i%perWord)&1 != 0 { // dst[i] is a[i]
				dst[i] = power(dst[i], b[i])
			}
		}
	}
}

func power(x, y float32) float32 { return float32(math.Pow(float64(x), float64(y))) }
