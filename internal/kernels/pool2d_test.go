package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

var poolShapes = map[string]PoolShape{
	"resnet":     {N: 2, H: 13, W: 12, C: 20, KH: 3, KW: 3, StrideH: 2, StrideW: 2, PadH: 1, PadW: 1},
	"global":     {N: 3, H: 7, W: 7, C: 37, KH: 7, KW: 7, StrideH: 1, StrideW: 1},
	"asymmetric": {N: 1, H: 5, W: 9, C: 8, KH: 2, KW: 4, StrideH: 1, StrideW: 3, PadH: 1, PadW: 2},
	"one":        {N: 1, H: 1, W: 1, C: 1, KH: 1, KW: 1, StrideH: 1, StrideW: 1},
	"wide pad":   {N: 1, H: 1, W: 2, C: 17, KH: 3, KW: 4, StrideH: 1, StrideW: 1, PadH: 2, PadW: 3},
	"gaps":       {N: 1, H: 8, W: 8, C: 16, KH: 1, KW: 2, StrideH: 3, StrideW: 4},
	"empty":      {H: 4, W: 4, C: 3, KH: 2, KW: 2, StrideH: 2, StrideW: 2},
}

// reference is the maximum and the mean of a window, in float64.
func (s PoolShape) reference(x []float32, i int, countPad bool) (top, mean float64) {
	c, ow, oh, n := i%s.C, i/s.C%s.OutW(), i/s.C/s.OutW()%s.OutH(), i/s.C/s.OutW()/s.OutH()
	top = math.Inf(-1)
	count := 0
	for ih := oh*s.StrideH - s.PadH; ih < oh*s.StrideH-s.PadH+s.KH; ih++ {
		for iw := ow*s.StrideW - s.PadW; iw < ow*s.StrideW-s.PadW+s.KW; iw++ {
			if ih >= 0 && ih < s.H && iw >= 0 && iw < s.W {
				v := float64(x[((n*s.H+ih)*s.W+iw)*s.C+c])
				top = math.Max(top, v)
				mean += v
				count++
			}
		}
	}
	if countPad {
		count = s.KH * s.KW
	}
	return top, mean / float64(count)
}

func TestPool2DAgainstFloat64(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(71, 72))
		for name, s := range poolShapes {
			t.Run("shape="+name, func(t *testing.T) {
				x := randoms(rng, s.N*s.H*s.W*s.C)
				for i := range x {
					if rng.IntN(50) == 0 {
						x[i] = float32(math.NaN())
					}
				}
				n := s.N * s.OutH() * s.OutW() * s.C
				for _, countPad := range []bool{false, true} {
					top, mean := filled(n, guard), filled(n, guard)
					cut := rng.IntN(s.Units() + 1)
					MaxPool2D(top, x, s, 0, cut, nil)
					AvgPool2D(mean, x, s, countPad, 0, cut, nil)
					for i := cut * s.OutW() * s.C; i < n; i++ {
						require.Equal(t, [2]float32{guard, guard}, [2]float32{top[i], mean[i]}, "element %d is in no row before %d", i, cut)
					}
					MaxPool2D(top, x, s, cut, s.Units(), nil)
					AvgPool2D(mean, x, s, countPad, cut, s.Units(), nil)
					for i := range n {
						a, b := s.reference(x, i, countPad)
						requireBits(t, []float32{float32(a)}, top[i:i+1], "maximum %d", i)
						if !(math.Abs(b-float64(mean[i])) <= 1e-6) && !(b != b && mean[i] != mean[i]) {
							t.Fatalf("mean %d: want %v, got %v", i, b, mean[i])
						}
					}
				}
			})
		}
	})
}

func TestLayoutsOfImages(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(73, 74))
		for _, size := range [][3]int{{1, 3, 224}, {2, 1, 65}, {2, 3, 5}, {1, 7, 130}, {3, 8, 9}, {2, 20, 70}, {1, 64, 64}, {2, 33, 1}, {0, 3, 4}, {1, 0, 5}, {1, 5, 0}} {
			images, channels, pixels := size[0], size[1], size[2]
			src := randoms(rng, images*channels*pixels)
			last, first := filled(len(src), guard), filled(len(src), guard)
			units := LayoutUnits(images, pixels)
			for _, unit := range rng.Perm(units) {
				ChannelsLast(last, src, images, channels, pixels, unit, unit+1, nil)
			}
			for i, v := range src {
				require.Equal(t, v, last[(i/channels/pixels*pixels+i%pixels)*channels+i/pixels%channels], "%v: element %d", size, i)
			}
			for _, unit := range rng.Perm(units) {
				ChannelsFirst(first, last, images, channels, pixels, unit, unit+1, nil)
			}
			requireBits(t, src, first, "%v there and back", size)
		}
	})
}

func TestFoldBatchNorm(t *testing.T) {
	rng := rand.New(rand.NewPCG(75, 76))
	s := simple(1, 5, 4, 6, 3, 1, 1)
	plain := newConv(rng, s, true, false, false)
	gamma, beta, mean, variance := randoms(rng, 6), randoms(rng, 6), randoms(rng, 6), randoms(rng, 6)
	for i, v := range variance {
		variance[i] = v * v
	}
	scales, bias := make([]float64, 6), append([]float32(nil), plain.e.Bias...)
	FoldBatchNorm(scales, bias, gamma, beta, mean, variance, 1e-5, nil)
	folded := *plain
	folded.e.Bias, folded.packed = bias, make([]float32, s.PackedLen())
	PackConvFilters(folded.packed, plain.filters, s, scales, nil)
	for i, v := range folded.all() {
		oc := i % 6
		want := (plain.want[i]-float64(mean[oc]))/math.Sqrt(float64(variance[oc])+1e-5)*float64(gamma[oc]) + float64(beta[oc])
		require.InDelta(t, want, float64(v), 1e-4*(1+math.Abs(want)), fmt.Sprint("output ", i))
	}
}
