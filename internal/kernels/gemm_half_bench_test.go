package kernels

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// narrowBench is a product with weights of one type.
type narrowBench struct {
	name  string
	bytes int
	call  func(c, a []float32, m, n, k, p0, p1 int)
}

// narrowBenches share the values of the weights.
func narrowBenches(k, n int) []narrowBench {
	w := randoms(rand.New(rand.NewPCG(41, 42)), PackedLen(k, n))
	bf16, f16, i8 := make([]uint16, len(w)), make([]uint16, len(w)), make([]int8, len(w))
	F32ToBF16(bf16, w)
	F32ToF16(f16, w)
	scales := filled(n, 1.0/32)
	for i, x := range w {
		i8[i] = int8(x * 31)
	}
	return []narrowBench{
		{"f32", 4, func(c, a []float32, m, n, k, p0, p1 int) { GemmPacked(c, n, a, k, w, m, n, k, p0, p1, nil) }},
		{"bf16", 2, func(c, a []float32, m, n, k, p0, p1 int) { GemmPackedBF16(c, n, a, k, bf16, m, n, k, p0, p1, nil) }},
		{"f16", 2, func(c, a []float32, m, n, k, p0, p1 int) { GemmPackedF16(c, n, a, k, f16, m, n, k, p0, p1, nil) }},
		{"i8", 1, func(c, a []float32, m, n, k, p0, p1 int) { GemmPackedI8(c, n, a, k, i8, scales, m, n, k, p0, p1, nil) }},
	}
}

// BenchmarkGemmNarrow divides the panels between the threads. Few rows are
// compared with the rate of reading, more with the peak.
func BenchmarkGemmNarrow(b *testing.B) {
	rows := []int{1, 8, 128}
	if benchAll() {
		rows = []int{1, 2, 3, 4, 6, 8, 12, 16, 128}
	}
	for _, size := range [][2]int{{6400, 1600}, {51200, 1600}, {1600, 6400}} {
		n, k := size[0], size[1]
		types := narrowBenches(k, n)
		eachPathBench(b, func(b *testing.B, path string) {
			for _, t := range types {
				for threads := 1; threads <= 2; threads++ {
					for _, m := range rows {
						if m > 8 && n > 6400 {
							continue
						}
						a, c := randoms(rand.New(rand.NewPCG(43, 44)), m*k), make([]float32, m*n)
						b.Run(productName("gemm-"+t.name, path, threads, m, n, k), func(b *testing.B) {
							b.ReportAllocs()
							for b.Loop() {
								splitPanels(threads, n, func(p0, p1 int) { t.call(c, a, m, n, k, p0, p1) })
							}
							reportNarrow(b, threads, t.bytes, m, n, k)
						})
					}
				}
			}
		})
	}
}

func splitPanels(threads, n int, f func(p0, p1 int)) {
	var wg sync.WaitGroup
	for i := 1; i < threads; i++ {
		wg.Go(func() { f(i*Panels(n)/threads, (i+1)*Panels(n)/threads) })
	}
	f(0, Panels(n)/threads)
	wg.Wait()
}

func reportNarrow(b *testing.B, threads, size, m, n, k int) {
	b.Helper()
	report(b, 2*m*n*k, size*n*k)
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	threads = min(threads, len(probes().read)) - 1
	b.ReportMetric(float64(size*n*k)*perSecond/probes().read[threads], "bw-frac")
	b.ReportMetric(float64(2*m*n*k)*perSecond/probes().fma[threads], "peak-frac")
}
