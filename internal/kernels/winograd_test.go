package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorOf is the largest and the root mean square error of a convolution,
// relative to the sums of the magnitudes of the terms.
func (c *convCase) errorOf(got []float32) (largest, rms float64) {
	for i, w := range c.want {
		d := math.Abs(w-float64(got[i])) / c.scale[i]
		largest = max(largest, d)
		rms += d * d
	}
	return largest, math.Sqrt(rms / float64(len(got)))
}

// direct computes the same convolution by the direct kernel: with dilation that
// spreads the taps over an image with empty rows and columns between.
func (c *convCase) direct() []float32 {
	s := c.ConvShape
	s.H, s.W, s.PadH, s.PadW = 2*s.H-1, 2*s.W-1, 2*s.PadH, 2*s.PadW
	s.DilH, s.DilW, s.StrideH, s.StrideW = 2, 2, 2, 2
	x := make([]float32, s.N*s.H*s.W*s.C)
	for p := range c.N * c.H * c.W {
		n, i, j := p/c.W/c.H, p/c.W%c.H, p%c.W
		copy(x[((n*s.H+2*i)*s.W+2*j)*s.C:], c.x[p*s.C:][:s.C])
	}
	packed, out := make([]float32, s.PackedLen()), make([]float32, len(c.want))
	PackConvFilters(packed, c.filters, s, nil, nil)
	Conv2D(out, x, packed, s, c.e, 0, s.Units(), nil)
	return out
}

func TestWinogradError(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(91, 92))
		for _, channels := range []int{16, 64, 256} {
			c := newConv(rng, simple(1, 14, channels, 32, 3, 1, 1), false, false, false)
			require.Equal(t, ConvWinograd, c.Algorithm())
			largest, rms := c.errorOf(c.all())
			directLargest, directRMS := c.errorOf(c.direct())
			t.Logf("%d channels: Winograd %.2g (rms %.2g), direct %.2g (rms %.2g)", channels, largest, rms, directLargest, directRMS)
			require.Less(t, largest, 8e-7)
			require.Less(t, rms, 3*directRMS)
		}
	})
}

// A NaN or an infinity in an input reaches the outputs that it is a term of;
// in Winograd convolution those of whole blocks.
func TestConv2DSpreadsNaN(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(93, 94))
		for name, s := range convShapes {
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
				c := newConv(rng, s.with(func(s *ConvShape) { s.N = 1 }), true, true, false)
				clean := c.all()
				at := rng.IntN(len(c.x))
				c.x[at] = bad
				clear(c.want)
				c.scale = make([]float64, len(c.want))
				finite := func(v float64) bool { return v-v == 0 }
				got := c.all()
				for i := range got {
					c.reference(i)
					require.False(t, !finite(c.want[i]) && finite(float64(got[i])), "shape %s: output %d should not be finite", name, i)
					if s.Algorithm() != ConvWinograd && finite(c.want[i]) {
						require.Equal(t, clean[i], got[i], "shape %s: output %d does not see input %d", name, i, at)
					}
				}
			}
		}
	})
}
