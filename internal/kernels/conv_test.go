package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// convCase is a convolution and its result in float64. scale is what rounding
// errors are relative to: the sum of the magnitudes of the terms, in Winograd
// convolution the largest one of the block of outputs.
type convCase struct {
	ConvShape
	x, filters, packed []float32
	e                  ConvEpilogue
	want, scale        []float64
}

func newConv(rng *rand.Rand, s ConvShape, bias, residual, relu bool) *convCase {
	c := &convCase{ConvShape: s}
	out := s.N * s.OutH() * s.OutW() * s.OutC
	c.x, c.filters = randoms(rng, s.N*s.H*s.W*s.C), randoms(rng, s.OutC*s.C/s.Groups*s.KH*s.KW)
	c.e.ReLU = relu
	if bias {
		c.e.Bias = randoms(rng, s.OutC)
	}
	if residual {
		c.e.Residual = randoms(rng, out)
	}
	c.packed = filled(s.PackedLen(), float32(math.NaN()))
	PackConvFilters(c.packed, c.filters, s, nil, nil)
	c.want, c.scale = make([]float64, out), make([]float64, out)
	for i := range out {
		c.reference(i)
	}
	if s.Algorithm() == ConvWinograd {
		c.scale = c.blockScale()
	}
	return c
}

func (c *convCase) blockScale() []float64 {
	scale := make([]float64, len(c.scale))
	oh, ow := c.OutH(), c.OutW()
	for i := range scale {
		x, y, n := i/c.OutC%ow, i/c.OutC/ow%oh, i/c.OutC/ow/oh
		for b := y &^ 3; b < min(oh, y&^3+4); b++ {
			for a := x &^ 3; a < min(ow, x&^3+4); a++ {
				scale[i] = max(scale[i], c.scale[((n*oh+b)*ow+a)*c.OutC+i%c.OutC])
			}
		}
	}
	return scale
}

// reference computes an output.
func (c *convCase) reference(i int) {
	oc, ow, oh, n := i%c.OutC, i/c.OutC%c.OutW(), i/c.OutC/c.OutW()%c.OutH(), i/c.OutC/c.OutW()/c.OutH()
	channels := c.C / c.Groups
	first := oc / (c.OutC / c.Groups) * channels
	add := func(v float64) {
		c.want[i] += v
		c.scale[i] += math.Abs(v)
	}
	for kh := range c.KH {
		for kw := range c.KW {
			ih, iw := oh*c.StrideH-c.PadH+kh*c.DilH, ow*c.StrideW-c.PadW+kw*c.DilW
			if ih < 0 || ih >= c.H || iw < 0 || iw >= c.W {
				continue
			}
			for ic := range channels {
				add(float64(c.x[((n*c.H+ih)*c.W+iw)*c.C+first+ic]) * float64(c.filters[((oc*channels+ic)*c.KH+kh)*c.KW+kw]))
			}
		}
	}
	if c.e.Bias != nil {
		add(float64(c.e.Bias[oc]))
	}
	if c.e.Residual != nil {
		add(float64(c.e.Residual[i]))
	}
	if c.e.ReLU {
		c.want[i] = max(0, c.want[i])
	}
}

// run computes units lo to hi over a copy of before.
func (c *convCase) run(before []float32, lo, hi int) []float32 {
	out := append([]float32(nil), before...)
	Conv2D(out, c.x, c.packed, c.ConvShape, c.e, lo, hi, nil)
	return out
}

func (c *convCase) all() []float32 {
	return c.run(filled(len(c.want), float32(math.NaN())), 0, c.Units())
}

// tolerance is the error that is allowed relative to scale.
func (c *convCase) tolerance() float64 {
	if c.Algorithm() == ConvWinograd {
		return 2e-6
	}
	return 1e-6
}

func (c *convCase) check(t *testing.T, got []float32) {
	t.Helper()
	for i, w := range c.want {
		if d := math.Abs(w - float64(got[i])); !(d <= c.tolerance()*c.scale[i]+1e-30) {
			t.Fatalf("%+v: output %d: want %v, got %v", c.ConvShape, i, w, got[i])
		}
	}
}

// simple is a convolution with one size for height and width.
func simple(n, size, c, out, kernel, stride, pad int) ConvShape {
	return ConvShape{N: n, H: size, W: size, C: c, OutC: out, KH: kernel, KW: kernel, StrideH: stride, StrideW: stride, PadH: pad, PadW: pad, DilH: 1, DilW: 1, Groups: 1}
}

func (s ConvShape) with(change func(*ConvShape)) ConvShape {
	change(&s)
	return s
}

func grouped(s ConvShape, groups int) ConvShape {
	return s.with(func(s *ConvShape) { s.Groups = groups })
}

var convShapes = map[string]ConvShape{
	"1x1":               simple(2, 7, 64, 48, 1, 1, 0),
	"1x1 odd":           simple(1, 5, 7, 19, 1, 1, 0),
	"1x1 stride":        simple(2, 9, 33, 32, 1, 2, 0),
	"1x1 pad":           simple(1, 3, 4, 16, 1, 1, 1),
	"3x3":               simple(2, 9, 8, 16, 3, 1, 1),
	"3x3 stride":        simple(1, 10, 40, 35, 3, 2, 1),
	"3x3 winograd":      simple(2, 13, 32, 48, 3, 1, 1),
	"3x3 winograd odd":  simple(1, 6, 17, 21, 3, 1, 0),
	"3x3 winograd pad":  simple(1, 5, 16, 16, 3, 1, 3),
	"3x3 winograd tiny": simple(1, 1, 20, 16, 3, 1, 1),
	"stem":              simple(1, 32, 3, 64, 7, 2, 3),
	"stem tiny":         simple(2, 2, 3, 16, 7, 2, 3),
	"one pixel":         simple(3, 1, 5, 17, 1, 1, 0),
	"large window":      simple(1, 12, 5, 6, 11, 1, 5),
	"merged far edge":   {N: 1, H: 4, W: 6, C: 2, OutC: 20, KH: 2, KW: 3, StrideH: 3, StrideW: 5, PadH: 4, PadW: 7, DilH: 1, DilW: 1, Groups: 1},
	"merged dilation":   {N: 1, H: 8, W: 6, C: 2, OutC: 20, KH: 3, KW: 3, StrideH: 1, StrideW: 1, PadH: 2, PadW: 1, DilH: 2, DilW: 1, Groups: 1},
	"asymmetric":        {N: 2, H: 7, W: 12, C: 6, OutC: 18, KH: 3, KW: 5, StrideH: 2, StrideW: 1, PadH: 0, PadW: 2, DilH: 1, DilW: 2, Groups: 1},
	"dilation":          simple(1, 11, 33, 16, 3, 1, 2).with(func(s *ConvShape) { s.DilH, s.DilW = 2, 2 }),
	"groups":            grouped(simple(2, 6, 12, 36, 3, 1, 1), 3),
	"groups wide":       grouped(simple(1, 5, 40, 48, 3, 2, 1), 2),
	"depth multiplier":  grouped(simple(1, 6, 5, 10, 3, 1, 1), 5),
	"depthwise":         grouped(simple(2, 9, 48, 48, 3, 1, 1), 48),
	"depthwise stride":  grouped(simple(1, 9, 24, 24, 3, 2, 1), 24),
	"depthwise odd":     grouped(simple(1, 7, 29, 29, 5, 1, 2), 29),
	"depthwise few":     grouped(simple(1, 4, 3, 3, 3, 1, 1), 3),
	"depthwise dilated": grouped(simple(1, 9, 16, 16, 3, 1, 2), 16).with(func(s *ConvShape) { s.DilH, s.DilW = 2, 1 }),
	"empty batch":       simple(0, 7, 8, 16, 3, 1, 1),
	"many pixels":       simple(1, 60, 4, 3, 3, 1, 1),
}

func TestConv2DAgainstFloat64(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(61, 62))
		for name, s := range convShapes {
			for i := range 4 {
				c := newConv(rng, s, i != 0, i%2 == 1, i >= 2)
				t.Run(fmt.Sprintf("shape=%s/epilogue=%d", name, i), func(t *testing.T) { c.check(t, c.all()) })
			}
		}
	})
}

func randomShape(rng *rand.Rand) ConvShape {
	groups := 1
	if rng.IntN(4) == 0 {
		groups = 1 + rng.IntN(4)
	}
	s := ConvShape{
		N: 1 + rng.IntN(3), H: 1 + rng.IntN(15), W: 1 + rng.IntN(15), C: groups * (1 + rng.IntN(40)), OutC: groups * (1 + rng.IntN(40)),
		KH: 1 + rng.IntN(4), KW: 1 + rng.IntN(4), StrideH: 1 + rng.IntN(3), StrideW: 1 + rng.IntN(3),
		PadH: rng.IntN(4), PadW: rng.IntN(4), DilH: 1 + rng.IntN(2), DilW: 1 + rng.IntN(2), Groups: groups,
	}
	if rng.IntN(4) == 0 {
		s.OutC, s.Groups = s.C, s.C
	}
	if rng.IntN(3) == 0 {
		s.KH, s.KW, s.StrideH, s.StrideW, s.DilH, s.DilW = 3, 3, 1, 1, 1, 1
	}
	s.H = max(s.H, s.DilH*(s.KH-1)+1-2*s.PadH)
	s.W = max(s.W, s.DilW*(s.KW-1)+1-2*s.PadW)
	return s
}

// Any range of units gives the bits of the whole, and writes nothing else; an
// image has the bits that it has alone.
func TestConv2DBitsDoNotDependOnCompany(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(63, 64))
		shapes := []ConvShape{simple(8, 14, 32, 48, 3, 1, 1), simple(8, 7, 64, 64, 1, 1, 0), simple(8, 15, 3, 32, 7, 2, 3), simple(8, 9, 40, 32, 3, 2, 1), grouped(simple(8, 12, 40, 40, 3, 1, 1), 40)}
		for range 40 {
			shapes = append(shapes, randomShape(rng))
		}
		for _, s := range shapes {
			c := newConv(rng, s, true, true, rng.IntN(2) == 0)
			want := c.all()
			c.check(t, want)
			got := filled(len(want), guard)
			cuts := []int{0, s.Units()}
			for range 3 {
				cuts = append(cuts, rng.IntN(s.Units()+1))
			}
			for lo := 0; lo < s.Units(); {
				hi := s.Units()
				for _, cut := range cuts {
					if cut > lo {
						hi = min(hi, cut)
					}
				}
				before := got
				got = c.run(before, lo, hi)
				written := 0
				for i := range got {
					if before[i] != guard {
						require.Equal(t, math.Float32bits(before[i]), math.Float32bits(got[i]), "%+v: units %d..%d wrote output %d again", s, lo, hi, i)
					} else if got[i] != guard {
						written++
					}
				}
				require.Positive(t, written)
				lo = hi
			}
			requireBits(t, want, got, "%+v in parts %v", s, cuts)
			alone := *c
			alone.N = 1
			for n := range s.N {
				size, outSize := len(c.x)/s.N, len(want)/s.N
				alone.x, alone.e.Residual = c.x[n*size:(n+1)*size], c.e.Residual[n*outSize:(n+1)*outSize]
				got := alone.run(make([]float32, outSize), 0, alone.Units())
				requireBits(t, want[n*outSize:(n+1)*outSize], got, "%+v: image %d alone", s, n)
			}
		}
	})
}
