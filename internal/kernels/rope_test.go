package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRotate(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(61, 62))
		for n := range 70 {
			for _, rest := range []int{0, 1, 17} {
				src, cos, sin := randoms(rng, 2*n+rest), randoms(rng, n), randoms(rng, n)
				for name, c := range map[string]struct {
					f    func(dst, src, cos, sin []float32)
					pair func(i int) (a, b int)
				}{
					"halves": {func(dst, src, cos, sin []float32) { RotateHalves(dst, src, cos, sin, nil) }, func(i int) (a, b int) { return i, i + n }},
					"pairs":  {func(dst, src, cos, sin []float32) { RotatePairs(dst, src, cos, sin, nil) }, func(i int) (a, b int) { return 2 * i, 2*i + 1 }},
				} {
					what := fmt.Sprint(name, " of ", n, " and ", rest)
					got := filled(len(src)+16, guard)
					c.f(got[:len(src)], src, cos, sin)
					requireBits(t, filled(16, guard), got[len(src):], "%s: wrote beyond", what)
					for i := range n {
						x, y := c.pair(i)
						a, b, cs, sn := float64(src[x]), float64(src[y]), float64(cos[i]), float64(sin[i])
						require.InDelta(t, a*cs-b*sn, got[x], 2e-6, what)
						require.InDelta(t, b*cs+a*sn, got[y], 2e-6, what)
					}
					requireBits(t, src[2*n:], got[2*n:len(src)], "%s: the rest", what)
					row := slices.Clone(src)
					c.f(row, row, cos, sin)
					requireBits(t, got[:len(src)], row, "%s: in place", what)
				}
			}
		}
	})
}

func TestRMSNorm(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(63, 64))
		for _, n := range []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 70, 768, 4096} {
			src, weight := randoms(rng, n), randoms(rng, n)
			square := 0.0
			for _, x := range src {
				square += float64(x) * float64(x) / float64(n)
			}
			for _, w := range [][]float32{nil, weight} {
				for _, offset := range []float32{0, 1} {
					got := filled(n+16, guard)
					RMSNorm(got[:n], src, w, offset, 1e-5, nil)
					requireBits(t, filled(16, guard), got[n:], "n %d: wrote beyond its slice", n)
					for i, x := range src {
						want := float64(x) / math.Sqrt(square+1e-5)
						if w != nil {
							want *= float64(offset + w[i])
						}
						require.InDelta(t, want, got[i], 2e-6*math.Max(1, math.Abs(want)), "n %d", n)
					}
					row := slices.Clone(src)
					RMSNorm(row, row, w, offset, 1e-5, nil)
					requireBits(t, got[:n], row, "in place, n %d", n)
				}
			}
		}
		large := filled(40, 1e30)
		RMSNorm(large, large, nil, 0, 1e-5, nil)
		require.Equal(t, make([]float32, 40), large, "the sum overflows")
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			row := filled(40, 1)
			row[17] = bad
			RMSNorm(row, row, nil, 0, 1e-5, nil)
			require.True(t, math.IsNaN(float64(row[17])))
		}
	})
}

func TestLogSoftmax(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(65, 66))
		for n := range 80 {
			src := randoms(rng, n)
			MulScalar(src, src, 5)
			sum, top := 0.0, math.Inf(-1)
			for _, x := range src {
				top = math.Max(top, float64(x))
			}
			for _, x := range src {
				sum += math.Exp(float64(x) - top)
			}
			got := filled(n+16, guard)
			LogSoftmax(got[:n], src, nil)
			requireBits(t, filled(16, guard), got[n:], "n %d: wrote beyond its slice", n)
			for i, x := range src {
				require.InDelta(t, float64(x)-top-math.Log(sum), got[i], 4e-6)
			}
		}
	})
}

// TestHide reads whole vectors and the rest.
func TestHide(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(67, 68))
		for n := range 70 {
			got, may := append(randoms(rng, n), guard), make([]byte, n)
			want := slices.Clone(got)
			for i := range may {
				if may[i] = byte([]int{0, 0, 1, 2, 128, 255}[rng.IntN(6)]); may[i] == 0 {
					want[i] = -math.MaxFloat32
				}
			}
			hideWhereZero(got[:n], may)
			requireBits(t, want, got, "%d", n)
		}
	})
}
