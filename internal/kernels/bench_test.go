package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
)

func TestMain(m *testing.M) {
	for _, arg := range os.Args {
		if len(arg) > 12 && arg[:12] == "-test.bench=" {
			fmt.Println("Unit GF/s better=higher")
			fmt.Println("Unit GB/s better=higher")
			fmt.Println("Unit peak-frac better=higher")
			fmt.Println("Unit bw-frac better=higher")
			break
		}
	}
	os.Exit(m.Run())
}

// eachPathBench runs f once on every assembly path that this CPU has, the
// portable one only if there is no other.
func eachPathBench(b *testing.B, f func(b *testing.B, prefix string)) {
	was := active
	defer func() { active = was }()
	for p := min(pathAVX2, bestPath()); p <= bestPath(); p++ {
		active = p
		f(b, "path="+Path())
	}
}

func report(b *testing.B, flops, bytes int) {
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	if flops > 0 {
		b.ReportMetric(float64(flops)*perSecond/1e9, "GF/s")
	}
	if bytes > 0 {
		b.ReportMetric(float64(bytes)*perSecond/1e9, "GB/s")
	}
	b.ReportMetric(0, "ns/op")
}

// A product of 1 to 8 rows takes about as long as reading the weights.
const benchMemoryBound = 8

var benchSizes = [][3]int{
	{1, 6400, 1600},
	{2, 6400, 1600},
	{4, 6400, 1600},
	{8, 6400, 1600},
	{12, 6400, 1600},
	{32, 6400, 1600},
	{64, 6400, 1600},
	{128, 6400, 1600},
	{128, 1600, 6400},
	{128, 2304, 768},
	{512, 3072, 768},
	{512, 768, 3072},
	{1024, 1024, 1024},
}

var benchSmallSizes = [][3]int{{64, 64, 64}, {1, 64, 512}, {128, 64, 128}, {1, 512, 64}, {8, 512, 64}, {128, 128, 64}}

// reportProduct reports the rate and its part of what the probes measured: of
// the reading rate where there are few rows, else of the peak.
func reportProduct(b *testing.B, threads, m, n, k int) {
	b.Helper()
	report(b, 2*m*n*k, 4*n*k)
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	if m <= benchMemoryBound {
		b.ReportMetric(float64(4*n*k)*perSecond/probes().read[min(threads, len(probes().read))-1], "bw-frac")
	} else {
		b.ReportMetric(float64(2*m*n*k)*perSecond/probes().fma[min(threads, len(probes().fma))-1], "peak-frac")
	}
}

// benchWeights are copies of [k, n] weights, so many that those for few rows come
// from memory, as the layers of a model do.
func benchWeights(rng *rand.Rand, m, n, k int) [][]float32 {
	w := [][]float32{randoms(rng, PackedLen(k, n))}
	for m <= 12 && len(w[0]) >= 1<<22 && len(w)*len(w[0]) < 1<<26 {
		w = append(w, slices.Clone(w[0]))
	}
	return w
}

func benchmarkGemm(b *testing.B, sizes [][3]int, threads int, call func(c, a, w []float32, m, n, k int)) {
	rng := rand.New(rand.NewPCG(1, 2))
	eachPathBench(b, func(b *testing.B, prefix string) {
		for _, s := range sizes {
			m, n, k := s[0], s[1], s[2]
			a, w, c := randoms(rng, m*k), benchWeights(rng, m, n, k), make([]float32, m*n)
			b.Run(fmt.Sprintf("%s/threads=%d/m=%d/n=%d/k=%d", prefix, threads, m, n, k), func(b *testing.B) {
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					call(c, a, w[i%len(w)], m, n, k)
					i++
				}
				reportProduct(b, threads, m, n, k)
			})
		}
	})
}

func BenchmarkGemmPacked(b *testing.B) {
	benchmarkGemm(b, append(benchSizes, benchSmallSizes...), 1, func(c, a, w []float32, m, n, k int) { GemmPacked(c, n, a, k, w, m, n, k, 0, Panels(n), nil) })
}

// As the engine does it: many rows are split between two goroutines, else the
// panels.
func BenchmarkGemmPackedTwoThreads(b *testing.B) {
	benchmarkGemm(b, benchSizes, 2, func(c, a, w []float32, m, n, k int) {
		part := func(i int) {
			if m >= 128 {
				lo, hi := i*m/2, (i+1)*m/2
				GemmPacked(c[lo*n:], n, a[lo*k:], k, w, hi-lo, n, k, 0, Panels(n), nil)
			} else {
				GemmPacked(c, n, a, k, w, m, n, k, i*Panels(n)/2, (i+1)*Panels(n)/2, nil)
			}
		}
		var wg sync.WaitGroup
		wg.Go(func() { part(0) })
		part(1)
		wg.Wait()
	})
}

func BenchmarkGemmNN(b *testing.B) {
	benchmarkGemm(b, append(benchSizes, benchSmallSizes...), 1, func(c, a, w []float32, m, n, k int) { GemmNN(c, n, a, k, w, n, m, 0, n, k, nil) })
}

func BenchmarkGemmNT(b *testing.B) {
	benchmarkGemm(b, append(benchSizes, benchSmallSizes...), 1, func(c, a, w []float32, m, n, k int) { GemmNT(c, n, a, k, w, k, m, 0, n, k, nil) })
}

func BenchmarkRows(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 4096
	x, y, dst, half := randoms(rng, n), randoms(rng, n), make([]float32, n), make([]uint16, n)
	eachPathBench(b, func(b *testing.B, prefix string) {
		for _, f := range []struct {
			name string
			call func()
		}{
			{"add", func() { Add(dst, x, y) }},
			{"mulscalar", func() { MulScalar(dst, x, 3) }},
			{"exp", func() { Exp(dst, x) }},
			{"tanh", func() { Tanh(dst, x) }},
			{"relu", func() { Relu(dst, x) }},
			{"gelutanh", func() { GeluTanh(dst, x) }},
			{"geluerf", func() { GeluErf(dst, x) }},
			{"softmax", func() { Softmax(dst, x, nil) }},
			{"layernorm", func() { LayerNorm(dst, x, y, y, 1e-5, nil) }},
			{"sum", func() { Sum(x) }},
			{"max", func() { Max(x) }},
			{"argmax", func() { ArgMax(x, nil) }},
			{"f16tof32", func() { F16ToF32(dst, half) }},
			{"f32tof16", func() { F32ToF16(half, x) }},
			{"bf16tof32", func() { BF16ToF32(dst, half) }},
			{"f32tobf16", func() { F32ToBF16(half, x) }},
		} {
			b.Run(prefix+"/op="+f.name+"/n=4096", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					f.call()
				}
				report(b, 0, 4*n)
			})
		}
	})
}

func BenchmarkPack(b *testing.B) {
	const k, n = 1600, 1600
	rng := rand.New(rand.NewPCG(5, 6))
	w, packed := randoms(rng, k*n), make([]float32, PackedLen(k, n))
	for _, c := range []struct {
		name     string
		row, col int
	}{{"rows", n, 1}, {"transposed", 1, k}} {
		b.Run("layout="+c.name, func(b *testing.B) {
			for b.Loop() {
				Pack(packed, w, c.row, c.col, k, n)
			}
			report(b, 0, 4*k*n)
		})
	}
}
