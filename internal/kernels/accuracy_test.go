package kernels

import (
	"math"
	"os"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// accuracies are what the generator states of each activation, by name.
var accuracies = func() map[string]activation {
	out := map[string]activation{}
	for _, a := range activations {
		out[a.name] = a
	}
	return out
}()

// absolute is the error that is allowed at x whatever its unit is.
func (a activation) absolute(x float64) float64 {
	if x < a.below {
		return a.tail
	}
	return 0
}

// ulp is the distance of the float32 numbers around x.
func ulp(x float64) float64 {
	_, e := math.Frexp(x)
	return math.Ldexp(1, max(e-24, -149))
}

// check returns the greatest error in units of the last place where these count,
// and an input whose error is not allowed. Inputs that are not finite are
// TestFunctionsAtSpecialValues's.
func (a activation) check(src, dst []float32) (worst float64, bad []float32) {
	a.apply(dst, src)
	for i, x := range src {
		x64, got := float64(x), float64(dst[i])
		if math.IsNaN(x64) || math.IsInf(x64, 0) {
			continue
		}
		want := a.exact(x64)
		if want != want || math.IsInf(want, 0) && x64 == 0 {
			if want != got && (want == want || got == got) {
				bad = append(bad, x)
			}
			continue
		}
		// Inf stands for the number after the greatest one.
		want, got = max(min(want, 1<<128), -1<<128), max(min(got, 1<<128), -1<<128)
		d := math.Abs(got - want)
		units := d / ulp(want)
		if a.absolute(x64) == 0 {
			worst = max(worst, units)
		}
		if !(units <= a.ulps || d <= a.absolute(x64)) {
			bad = append(bad, x)
		}
	}
	return worst, bad
}

// sampleOfFloats gives every 2^12-th bit pattern and all near points where the
// functions change, to f, in slices.
func sampleOfFloats(f func(src []float32)) {
	points := []float32{
		0, 0x1p-126, 0x1p-149, 0.625, 0.3125, 1, 2, 8, 10, 20, 40, 9.0109, 13.2, 87, 87.3365, 88, 88.376, 88.7228, 89, 103.28, 103.972, 104,
		0x1p22, 0x1p23, 0x1p24, 1e19, 1.8e19, 1e30, math.MaxFloat32, math.Ln2,
	}
	for n := 1; n < 100; n += 9 {
		points = append(points, float32((float64(n)-0.5)*math.Ln2), float32((float64(n)-0.5)*math.Ln2/2))
	}
	src := make([]float32, 0, 2<<12)
	for at := uint64(0); at < 1<<32; at += 1 << 12 {
		src = append(src, math.Float32frombits(uint32(at)))
		if len(src) == 1<<12 {
			f(src)
			src = src[:0]
		}
	}
	for _, p := range points {
		for d := -1000; d <= 1000; d++ {
			x := math.Float32frombits(uint32(int(math.Float32bits(p)) + d))
			src = append(src, x, -x)
		}
		f(src)
		src = src[:0]
	}
}

// everyFloat gives all bit patterns, split between goroutines.
func everyFloat(f func(src []float32)) {
	var wg sync.WaitGroup
	n := uint64(runtime.GOMAXPROCS(0))
	for part := range n {
		wg.Go(func() {
			src := make([]float32, 1<<12)
			for at := part * uint64(len(src)); at < 1<<32; at += n * uint64(len(src)) {
				for i := range src {
					src[i] = math.Float32frombits(uint32(at) + uint32(i))
				}
				f(src)
			}
		})
	}
	wg.Wait()
}

// GENIE_EXHAUSTIVE=1 tries all 2^32 inputs, which takes minutes.
func TestAccuracyOverTheWholeRange(t *testing.T) {
	each := sampleOfFloats
	if os.Getenv("GENIE_EXHAUSTIVE") == "1" {
		each = everyFloat
	}
	eachPath(t, func(t *testing.T) {
		for name, a := range accuracies {
			t.Run(name, func(t *testing.T) {
				var mu sync.Mutex
				worst := 0.0
				each(func(src []float32) {
					w, bad := a.check(src, make([]float32, len(src)))
					mu.Lock()
					defer mu.Unlock()
					worst = max(worst, w)
					if len(bad) > 0 {
						got := make([]float32, 1)
						a.apply(got, bad[:1])
						t.Errorf("%s(%v) = %v, want %v", name, bad[0], got[0], a.exact(float64(bad[0])))
					}
				})
				t.Logf("%s: at most %.3f units in the last place", name, worst)
			})
		}
	})
}

// The bounds that Softmax states, for rows of every spread.
func TestSoftmaxAccuracy(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		each := func(row []float32) {
			top, sum := float64(Max(row)), 0.0
			for _, x := range row {
				sum += math.Exp(float64(x) - top)
			}
			got := make([]float32, len(row))
			Softmax(got, row, nil)
			for i, x := range row {
				want := math.Exp(float64(x)-top) / sum
				require.InDelta(t, want, got[i], 3*ulp(want)+0x1p-24*math.Abs(float64(x)-top)*want+2e-38, "%v of %d below %v", x, len(row), top)
			}
		}
		for _, top := range []float32{-1e30, -100, 0, 3e-40, 5, 700, 1e20, math.MaxFloat32} {
			row := []float32{top}
			for d := float32(1e-6); d < 1e38; d *= 1.37 {
				row = append(row, top-d)
			}
			each(row)
		}
		row := make([]float32, 5000)
		for i := range row {
			row[i] = -float32(i) * 0.021
		}
		each(row)
	})
}

// The bound that LayerNorm states, for rows far from zero and of every scale.
func TestLayerNormAccuracy(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		const n = 4096
		for _, scale := range []float64{1e-10, 1e-3, 1, 1e6, 1e15} {
			for _, shift := range []float64{0, 1, 100} {
				src, got := make([]float32, n), make([]float32, n)
				mean, variance := 0.0, 0.0
				for i := range src {
					src[i] = float32(scale * (shift + math.Sin(float64(i*i))))
					mean += float64(src[i]) / n
				}
				for _, x := range src {
					variance += (float64(x) - mean) * (float64(x) - mean) / n
				}
				const eps = 1e-20
				LayerNorm(got, src, nil, nil, eps, nil)
				for i, x := range src {
					want := (float64(x) - mean) / math.Sqrt(variance+float64(float32(eps)))
					tolerance := 1e-5 * (math.Abs(want) + math.Abs(mean)/math.Sqrt(variance))
					require.InDelta(t, want, got[i], tolerance+1e-12, "scale %v, shift %v", scale, shift)
				}
			}
		}
	})
}

func TestLayerNormOfNotFinite(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, special := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			row := filled(40, 1)
			row[17] = float32(special)
			LayerNorm(row, row, nil, nil, 1e-5, nil)
			requireBits(t, filled(40, float32(math.NaN())), row, "%v", special)
		}
		row := filled(40, 3e-40)
		LayerNorm(row, row, nil, nil, 1e-5, nil)
		require.Less(t, Max(row), float32(1e-30), "subnormal")
		large := filled(40, -1e30)
		large[0] = 1e30
		LayerNorm(large, large, nil, nil, 1e-5, nil)
		require.Equal(t, make([]float32, 40), large, "a variance that overflows")
	})
}
