package kernels

import (
	"fmt"
	"math"
)

// QuantizeColumns makes 8-bit weights of panels p0 to p1 of a packed float32
// matrix [k, n]: packed[l][j] becomes scales[j] * dst[l][j]. dst has the same
// layout and length, scales has n elements; only the parts of these panels are
// written.
//
// A scale is the greatest magnitude of its column divided by 127 (among
// subnormal numbers the next one above, where that is too small), and 0 for a
// column of zeros. The integers, -127 to 127, are rounded to nearest, ties to
// even. So in exact arithmetic |w - scale*q| <= scale/2 for every weight, and
// the error of an output of [GemmPackedI8] is at most scale/2 times the sum of
// the magnitudes of A's row, before rounding.
//
// A column with NaN or an infinity is an error, and the output is then only
// partly written.
func QuantizeColumns(dst []int8, scales, packed []float32, k, n, p0, p1 int) error {
	needDims("QuantizeColumns", 0, n, k)
	needRange("QuantizeColumns", p0, p1, Panels(n))
	needPacked("QuantizeColumns", len(packed), k, n)
	needPacked("QuantizeColumns", len(dst), k, n)
	needScales("QuantizeColumns", len(scales), n)
	for p := p0; p < p1; p++ {
		at := p * k * PanelWidth
		from, to := packed[at:at+k*PanelWidth], dst[at:at+k*PanelWidth]
		var s [PanelWidth]float32
		for j, most := range greatest(from) {
			if math.IsInf(float64(most), 0) || most != most {
				return fmt.Errorf("kernels: QuantizeColumns: column %d holds a value that is not finite", p*PanelWidth+j)
			}
			s[j] = scaleOf(most)
		}
		copy(scales[p*PanelWidth:n], s[:])
		quantize(to, from, &s)
	}
	return nil
}

// greatest returns the greatest magnitude of each column of a panel. Without its
// sign a float32 is ordered as its bits are; NaN comes last.
func greatest(panel []float32) (most [PanelWidth]float32) {
	var bits [PanelWidth]uint32
	for ; len(panel) >= PanelWidth; panel = panel[PanelWidth:] {
		for j, x := range (*[PanelWidth]float32)(panel) {
			bits[j] = max(bits[j], math.Float32bits(x)&0x7fffffff)
		}
	}
	for j, b := range bits {
		most[j] = math.Float32frombits(b)
	}
	return most
}

func scaleOf(most float32) float32 {
	s := most / 127
	if float64(most) > 127.5*float64(s) {
		s = math.Nextafter32(s, 1)
	}
	return s
}

// quantize divides in float64: a quotient of two float32 values is a tie there
// only if it is one.
func quantize(dst []int8, panel []float32, scales *[PanelWidth]float32) {
	var wide [PanelWidth]float64
	for j, s := range scales {
		if s == 0 {
			s = 1 // a column of zeros
		}
		wide[j] = float64(s)
	}
	for ; len(panel) >= PanelWidth; panel, dst = panel[PanelWidth:], dst[PanelWidth:] {
		q := (*[PanelWidth]int8)(dst)
		for j, x := range (*[PanelWidth]float32)(panel) {
			q[j] = int8(math.RoundToEven(float64(x) / wide[j]))
		}
	}
}

func needScales(op string, length, n int) {
	if length < n {
		panic(fmt.Sprintf("kernels: %s: %d scales are too few for %d columns", op, length, n))
	}
}
