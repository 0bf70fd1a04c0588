package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGemmI8(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(51, 52))
		for _, m := range narrowM {
			for _, n := range []int{1, 15, 16, 17, 31, 33, 64, 65, 97, 130} {
				for _, k := range []int{0, 1, 3, 4, 33, 129, 257} {
					g := newGemm(rng, m, n, k)
					q, scales := make([]int8, len(g.packed)), filled(n, guard)
					require.NoError(t, QuantizeColumns(q, scales, g.packed, k, n, 0, Panels(n)))
					wide := make([]float32, len(q))
					i8ToF32(wide, q)
					p0 := rng.IntN(Panels(n))
					lo := p0 * PanelWidth
					want := g.run(t, lo, n, func(c []float32) {
						GemmPacked(c, g.ldc, g.a, g.lda, wide, m, n, k, p0, Panels(n), nil)
						for i := range m {
							for j := lo; j < n; j++ {
								c[i*g.ldc+j] *= scales[j]
							}
						}
					})
					got := g.run(t, lo, n, func(c []float32) { GemmPackedI8(c, g.ldc, g.a, g.lda, q, scales, m, n, k, p0, Panels(n), nil) })
					requireBits(t, want, got, "m %d n %d k %d from panel %d", m, n, k, p0)
					whole := g.run(t, 0, n, func(c []float32) { GemmPackedI8(c, g.ldc, g.a, g.lda, q, scales, m, n, k, 0, Panels(n), nil) })
					requireBits(t, got, crop(whole, n, 0, m, lo, n), "m %d n %d k %d: all and from panel %d", m, n, k, p0)
					requireQuantized(t, g, scales, whole)
				}
			}
		}
	})
}

// requireQuantized checks the product against float64: half a scale for each
// element of A's row, and rounding.
func requireQuantized(t *testing.T, g *gemmCase, scales, got []float32) {
	t.Helper()
	for i := range g.m {
		magnitudes := 0.0
		for _, x := range g.a[i*g.lda:][:g.k] {
			magnitudes += math.Abs(float64(x))
		}
		for j := range g.n {
			at, half := i*g.n+j, float64(scales[j])/2*magnitudes
			rounding := 1e-6*(g.scale[at]+half) + 1e-30
			if d := math.Abs(g.want[at] - float64(got[at])); !(d <= half+rounding) {
				t.Fatalf("m %d n %d k %d: element %d: off by %v, bound %v", g.m, g.n, g.k, at, d, half+rounding)
			}
		}
	}
}

func TestQuantizeColumns(t *testing.T) {
	rng := rand.New(rand.NewPCG(53, 54))
	const k, n = 50, 37
	tiny := math.Float32frombits(1)
	for _, size := range []float32{1, 1e-3, 1e30, math.MaxFloat32 / 8, 1e-38, 63 * tiny, 189 * tiny, 400 * tiny, 70000 * tiny, 0} {
		packed := make([]float32, PackedLen(k, n))
		w := randoms(rng, k*n)
		for i := range w {
			w[i] *= size
		}
		Pack(packed, w, n, 1, k, n)
		q, scales := make([]int8, len(packed)), make([]float32, n)
		require.NoError(t, QuantizeColumns(q, scales, packed, k, n, 0, 1))
		require.NoError(t, QuantizeColumns(q, scales, packed, k, n, 1, Panels(n)))
		for j := range n {
			most := float32(0)
			for l := range k {
				x := float64(w[l*n+j])
				most = max(most, float32(math.Abs(x)))
				if e := math.Abs(x - float64(scales[j])*float64(q[j/16*16*k+l*16+j%16])); e > float64(scales[j])/2 {
					t.Fatalf("%v, scale %v: off by %v", x, scales[j], e)
				}
			}
			require.Equal(t, most == 0, scales[j] == 0, "column %d of %v", j, size)
			require.InEpsilon(t, 1+float64(most)/127, 1+float64(scales[j]), 1e-6)
		}
		for l := range k {
			require.Equal(t, make([]int8, PanelWidth-n%PanelWidth), q[n/16*16*k+l*16+n%PanelWidth:][:PanelWidth-n%PanelWidth])
		}
	}
	// Ties: the scale is 2, the quotients are halves.
	packed, q, scales := make([]float32, 16*6), make([]int8, 16*6), make([]float32, 1)
	for l, x := range []float32{254, 1, 3, 5, -1, -253} {
		packed[l*16] = x
	}
	require.NoError(t, QuantizeColumns(q, scales, packed, 6, 1, 0, 1))
	require.Equal(t, []int8{127, 0, 2, 2, 0, -126}, []int8{q[0], q[16], q[32], q[48], q[64], q[80]})
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		packed[37] = float32(x)
		require.ErrorContains(t, QuantizeColumns(make([]int8, 96), make([]float32, 6), packed, 6, 6, 0, 1), "column 5 holds a value that is not finite")
	}
}
