package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSoftmax(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		for _, n := range []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 1000, 50257} {
			src := randoms(rng, n)
			MulScalar(src, src, 5)
			got := filled(n+16, guard)
			Softmax(got[:n], src, nil)
			requireBits(t, filled(16, guard), got[n:], "n %d: wrote beyond its slice", n)
			top, sum := float64(Max(src)), 0.0
			for _, x := range src {
				sum += math.Exp(float64(x) - top)
			}
			for i, x := range src {
				require.InEpsilon(t, math.Exp(float64(x)-top)/sum, got[i], 3e-6, "n %d", n)
			}
			Softmax(src, src, nil)
			requireBits(t, got[:n], src, "in place, n %d", n)
		}
		got := make([]float32, 1)
		Softmax(got, []float32{-7}, nil)
		require.Equal(t, float32(1), got[0])
	})
}

// Masked entries anywhere, and any order of the row, leave every other entry's
// bits alone.
func TestSoftmaxMaskAndOrder(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(13, 14))
		for range 300 {
			n := 1 + rng.IntN(300)
			row := randoms(rng, n)
			MulScalar(row, row, float32(rng.ExpFloat64()*10))
			want := make([]float32, n)
			Softmax(want, row, nil)

			masked := []float32{-3.4e38, float32(math.Inf(-1)), -math.MaxFloat32}[rng.IntN(3)]
			before, after := rng.IntN(40), rng.IntN(40)
			padded := slices.Concat(filled(before, masked), row, filled(after, masked))
			Softmax(padded, padded, nil)
			requireBits(t, want, padded[before:before+n], "n %d, %d masked before and %d after", n, before, after)
			requireBits(t, make([]float32, before+after), append(padded[:before:before], padded[before+n:]...), "masked")

			order := rng.Perm(n)
			shuffled := make([]float32, n)
			for i, j := range order {
				shuffled[i] = row[j]
			}
			Softmax(shuffled, shuffled, nil)
			for i, j := range order {
				require.Equal(t, want[j], shuffled[i], "shuffled")
			}
		}
	})
}

func TestSoftmaxOfNotFinite(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachPath(t, func(t *testing.T) {
		for name, special := range map[string][]float32{"nan": {nan}, "inf": {inf}, "all -inf": nil} {
			for _, n := range []int{3, 20, 40} {
				row := filled(n, 1)
				if special == nil {
					row = filled(n, -inf)
				}
				copy(row[n/2:], special)
				Softmax(row, row, nil)
				for _, y := range row {
					if name != "inf" {
						require.True(t, math.IsNaN(float64(y)), name)
					}
				}
				require.True(t, math.IsNaN(float64(row[n/2])), name)
			}
		}
		uniform := filled(21, -math.MaxFloat32)
		Softmax(uniform, uniform, nil)
		require.Equal(t, float32(1)/21, uniform[20])
	})
}

func TestLayerNorm(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, n := range []int{0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 70, 768, 1600} {
			src, gamma, beta := randoms(rng, n), randoms(rng, n), randoms(rng, n)
			AddScalar(src, src, 3)
			mean, variance := 0.0, 0.0
			for _, x := range src {
				mean += float64(x) / float64(n)
			}
			for _, x := range src {
				variance += (float64(x) - mean) * (float64(x) - mean) / float64(n)
			}
			for _, with := range [][2][]float32{{nil, nil}, {gamma, nil}, {nil, beta}, {gamma, beta}} {
				got := filled(n+16, guard)
				LayerNorm(got[:n], src, with[0], with[1], 1e-5, nil)
				requireBits(t, filled(16, guard), got[n:], "n %d: wrote beyond its slice", n)
				for i, x := range src {
					want := (float64(x) - mean) / math.Sqrt(variance+1e-5)
					if with[0] != nil {
						want *= float64(gamma[i])
					}
					if with[1] != nil {
						want += float64(beta[i])
					}
					tolerance := 1e-5
					if n == 1 {
						tolerance = 1e-3 // 0 * 1/sqrt(eps)
					}
					require.InDelta(t, want, got[i], tolerance, "n %d", n)
				}
				row := slices.Clone(src)
				LayerNorm(row, row, with[0], with[1], 1e-5, nil)
				requireBits(t, got[:n], row, "in place, n %d", n)
			}
		}
	})
}

func TestSumAndMax(t *testing.T) {
	was := active
	defer func() { active = was }()
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	eachPath(t, func(t *testing.T) {
		path := active
		rng := rand.New(rand.NewPCG(17, 18))
		require.Equal(t, -inf, Max(nil))
		require.Equal(t, inf, Min(nil))
		require.Zero(t, Sum(nil))
		for n := 1; n < 200; n++ {
			src := randoms(rng, n)
			sum := Sum(src)
			active = pathGeneric
			require.Equal(t, Sum(src), sum, "all paths give the same bits, n %d", n)
			active = path
			require.InDelta(t, sumOf(src), sum, 1e-4)
			require.Equal(t, slices.Max(src), Max(src))
			require.Equal(t, slices.Min(src), Min(src))
			for at, was := range src {
				src[at] = 100
				require.Equal(t, src[at], Max(src))
				src[at] = -100
				require.Equal(t, src[at], Min(src))
				src[at] = nan
				require.True(t, math.IsNaN(float64(Max(src))), "a NaN, n %d", n)
				require.True(t, math.IsNaN(float64(Min(src))), "a NaN, n %d", n)
				src[at] = was
			}
		}
	})
}

func sumOf(src []float32) (sum float64) {
	for _, x := range src {
		sum += float64(x)
	}
	return sum
}

func TestNothingIsAllocated(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(21, 22))
		g := newGemm(rng, 40, 70, 33)
		c := make([]float32, g.m*g.ldc)
		row := randoms(rng, 100)
		const pooled = 4 // calls with scratch
		require.LessOrEqual(t, testing.AllocsPerRun(20, func() {
			GemmPacked(c, g.ldc, g.a, g.lda, g.packed, g.m, g.n, g.k, 0, 3, nil)
			GemmNN(c, g.ldc, g.a, g.lda, g.b, g.ldb, 5, 0, g.n, g.k, nil)
			GemmNN(c, g.ldc, g.a, g.lda, g.b, g.ldb, g.m, 0, g.n, g.k, nil)
			GemmNT(c, g.ldc, g.a, g.lda, g.bt, g.lda, g.m, 0, g.n, g.k, nil)
			Softmax(row, row, nil)
			LayerNorm(row, row, row, row, 1e-5, nil)
			GeluTanh(row, row)
			ArgMax(row, nil)
		}), float64(pooled*pooledAllocs))
	})
}
