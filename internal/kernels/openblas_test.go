//go:build openblas

package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/kernels/openblas"
)

// BenchmarkOpenBLAS has the sizes of the other benchmarks, to compare with.
func BenchmarkOpenBLAS(b *testing.B) {
	rng := rand.New(rand.NewPCG(7, 8))
	for threads := 1; threads <= 2; threads++ {
		openblas.SetThreads(threads)
		for _, s := range sizesToBench(false) {
			m, n, k := s[0], s[1], s[2]
			a, w, c := randoms(rng, m*k), benchWeights(rng, m, n, k), make([]float32, m*n)
			b.Run(productName("gemm-packed", "openblas", threads, m, n, k), func(b *testing.B) {
				i := 0
				for b.Loop() {
					if m == 1 {
						openblas.Gemv(c, a, w[i%len(w)], n, k)
					} else {
						openblas.Gemm(c, a, w[i%len(w)], m, n, k)
					}
					i++
				}
				reportProduct(b, threads, m, n, k)
			})
		}
	}
}
