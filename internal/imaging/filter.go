package imaging

import "math"

// Filter is a resampling filter; the numbers are those of PIL and of "resample"
// in preprocessor_config.json.
type Filter int

// The filters.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
)

// Products in this file and in windows are rounded by conversion before an
// addition: with the fused operations of some CPUs, weights would differ
// between machines.

// kernel is a filter's weight at a distance in pixels, 0 beyond its support.
type kernel struct {
	support float64
	weight  func(x float64) float64
}

// kernel returns the kernel of a filter; Nearest has none.
func (f Filter) kernel() (kernel, bool) {
	switch f {
	case Box:
		return kernel{0.5, box}, true
	case Bilinear:
		return kernel{1, triangle}, true
	case Hamming:
		return kernel{1, hamming}, true
	case Bicubic:
		return kernel{2, cubic}, true
	case Lanczos:
		return kernel{3, lanczos}, true
	default:
		return kernel{}, false
	}
}

// box is open at its right end, so that a pixel between two belongs to one.
func box(x float64) float64 {
	if x > -0.5 && x <= 0.5 {
		return 1
	}
	return 0
}

func triangle(x float64) float64 { return max(0, 1-math.Abs(x)) }

// hamming is a sinc in a Hamming window (0.54, 0.46).
func hamming(x float64) float64 {
	x = math.Abs(x)
	switch {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	x *= math.Pi
	return math.Sin(x) / x * (0.54 + float64(0.46*math.Cos(x)))
}

// cubic is Keys' convolution with a = -1/2, which is Catmull-Rom's spline.
func cubic(x float64) float64 {
	const a = -0.5
	x = math.Abs(x)
	switch {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return (float64((float64((x-5)*x)+8)*x) - 4) * a
	}
	return 0
}

// lanczos is a sinc in the window of a sinc three times as wide.
func lanczos(x float64) float64 {
	if x < -3 || x >= 3 {
		return 0
	}
	return sinc(x) * sinc(x/3)
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}
