package kernels

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
)

// rankedRow has ties, both zeros, infinities and NaN.
func rankedRow(rng *rand.Rand, n int) []float32 {
	row := randoms(rng, n)
	some := []float32{0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32}
	rare := 1 + rng.IntN(30)
	for i := range row {
		if rng.IntN(rare) == 0 {
			row[i] = some[rng.IntN(len(some))]
		}
	}
	switch rng.IntN(6) {
	case 0:
		slices.Sort(row)
	case 1:
		slices.Sort(row)
		slices.Reverse(row)
	}
	return row
}

func sortedIndices(src []float32) []int32 {
	order := make([]int32, len(src))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(src[b], src[a]) })
	return order
}

func TestTopK(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(41, 42))
		for round := range 600 {
			n := 1 + rng.IntN(300)
			if round%100 == 0 {
				n = 50257
			}
			src := rankedRow(rng, n)
			k := rng.IntN(min(n, 120) + 1)
			want := sortedIndices(src)[:k]
			values, indices := filled(k+1, guard), make([]int32, k+1)
			TopK(values, indices, src, k, nil)
			require.Equal(t, want, indices[:k], "%d of %d", k, n)
			for i, j := range want {
				require.Equal(t, math.Float32bits(src[j]), math.Float32bits(values[i]))
			}
			require.Equal(t, guard, values[k])
		}
	})
}

func TestTopKPanics(t *testing.T) {
	for _, c := range [][4]int{{3, 3, 2, 3}, {1, 2, 2, 2}, {2, 1, 2, 2}, {2, 2, 2, -1}} {
		func() {
			defer func() { require.Contains(t, fmt.Sprint(recover()), "kernels: TopK: ") }()
			TopK(make([]float32, c[0]), make([]int32, c[1]), make([]float32, c[2]), c[3], nil)
		}()
	}
}

// ArgMax is the operator of that name: NaN is never the greatest.
func TestArgMax(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		require.Equal(t, -1, ArgMax(nil, nil))
		rng := rand.New(rand.NewPCG(43, 44))
		for range 3000 {
			src := rankedRow(rng, 1+rng.IntN(200))
			if rng.IntN(50) == 0 {
				src = rankedRow(rng, 5000)
			}
			best, top := 0, float32(math.Inf(-1))
			nan := false
			for i, x := range src {
				nan = nan || x != x
				if x > top {
					best, top = i, x
				}
			}
			require.Equal(t, best, ArgMax(src, nil), "%v", src)
			if m := Max(src); nan {
				require.True(t, math.IsNaN(float64(m)))
			} else {
				require.Equal(t, math.Abs(float64(top)), math.Abs(float64(m)))
			}
		}
	})
}

func TestDrawWeights(t *testing.T) {
	was := active
	defer func() { active = was }()
	rng := rand.New(rand.NewPCG(45, 46))
	for _, n := range []int{0, 1, 7, 8, 9, 31, 5000} {
		for _, temperature := range []float32{1, 0.7, 1e-30, 0.01, 300, math.MaxFloat32} {
			logits := rankedRow(rng, n)
			for i, x := range logits {
				if math.IsInf(float64(x), 1) || x == math.MaxFloat32 {
					logits[i] = 40
				}
				if i%3 == 0 {
					logits[i] -= float32(rng.Float64() * 800)
				}
			}
			top := float32(0)
			if n > 0 {
				top = max(logits[ArgMax(logits, nil)], -math.MaxFloat32)
			}
			active = pathGeneric
			want := make([]float64, n)
			DrawWeights(want, logits, top, temperature, nil)
			for i, x := range logits {
				exact := math.Exp((float64(x) - float64(top)) / float64(temperature))
				if x != x || exact < 1e-323 {
					exact = 0
				}
				require.InDelta(t, exact, want[i], 2e-14*exact+1e-323)
			}
			eachPath(t, func(t *testing.T) {
				got := make([]float64, n+8)
				DrawWeights(got[:n], logits, top, temperature, nil)
				for i := range want {
					require.Equal(t, math.Float64bits(want[i]), math.Float64bits(got[i]), "%v at %v", logits[i], temperature)
				}
				require.Equal(t, make([]float64, 8), got[n:])
			})
		}
	}
}

func BenchmarkSampling(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const n = 50257
	logits, weights := randoms(rng, n), make([]float64, n)
	values, indices := make([]float32, 100), make([]int32, 100)
	eachPathBench(b, func(b *testing.B, path string) {
		for _, f := range []struct {
			name string
			call func()
		}{
			{"argmax", func() { ArgMax(logits, nil) }},
			{"top10", func() { TopK(values, indices, logits, 10, nil) }},
			{"top50", func() { TopK(values, indices, logits, 50, nil) }},
			{"top100", func() { TopK(values, indices, logits, 100, nil) }},
			{"weights", func() { DrawWeights(weights, logits, 5, 0.8, nil) }},
		} {
			b.Run(benchname.Of("sampling", path, "op="+f.name, "n=50257"), func(b *testing.B) {
				for b.Loop() {
					f.call()
				}
			})
		}
	})
}
