package kernels

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/genie-sdk/go/internal/benchname"
)

func TestMain(m *testing.M) {
	benchname.Declare(os.Stdout, "GF/s better=higher", "GB/s better=higher", "peak-frac better=higher", "bw-frac better=higher")
	os.Exit(m.Run())
}

// envBench asks for every size on every path of this CPU where it is "all",
// which takes half an hour. Without it there are the sizes of the models on the
// path that is chosen here, in a few minutes.
const envBench = "GENIE_BENCH"

func benchAll() bool { return os.Getenv(envBench) == "all" }

// eachPathBench runs f on the path that was chosen, or once on every assembly
// path that this CPU has, the portable one only if there is no other.
func eachPathBench(b *testing.B, f func(b *testing.B, path string)) {
	if !benchAll() {
		f(b, Path())
		return
	}
	was := active
	defer func() { active = was }()
	for p := min(pathAVX2, bestPath()); p <= bestPath(); p++ {
		active = p
		f(b, Path())
	}
}

// report adds the rates of an operation of so many flops that reads so many
// bytes; 0 leaves one out.
func report(b *testing.B, flops, bytes int) {
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	if flops > 0 {
		b.ReportMetric(float64(flops)*perSecond/1e9, "GF/s")
	}
	if bytes > 0 {
		b.ReportMetric(float64(bytes)*perSecond/1e9, "GB/s")
	}
}

// A product of 1 to 8 rows takes about as long as reading the weights.
const benchMemoryBound = 8

// benchSizes are the sizes that are recorded, moreSizes those between them.
var (
	benchSizes = [][3]int{
		{1, 6400, 1600},
		{8, 6400, 1600},
		{128, 6400, 1600},
		{128, 1600, 6400},
		{128, 2304, 768},
		{512, 3072, 768},
		{512, 768, 3072},
		{1024, 1024, 1024},
	}
	moreSizes = [][3]int{{2, 6400, 1600}, {4, 6400, 1600}, {12, 6400, 1600}, {32, 6400, 1600}, {64, 6400, 1600}}
)

// sizesToBench are the sizes of a benchmark.
func sizesToBench(small bool) [][3]int {
	sizes := slices.Clone(benchSizes)
	if benchAll() {
		sizes = append(sizes, moreSizes...)
	}
	if small {
		sizes = append(sizes, benchSmallSizes...)
	}
	return sizes
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

func benchmarkGemm(b *testing.B, name string, sizes [][3]int, threads int, call func(c, a, w []float32, m, n, k int)) {
	rng := rand.New(rand.NewPCG(1, 2))
	eachPathBench(b, func(b *testing.B, path string) {
		for _, s := range sizes {
			m, n, k := s[0], s[1], s[2]
			a, w, c := randoms(rng, m*k), benchWeights(rng, m, n, k), make([]float32, m*n)
			b.Run(productName(name, path, threads, m, n, k), func(b *testing.B) {
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

// productName is the name of a product of [m, k] and [k, n].
func productName(name, baseline string, threads, m, n, k int) string {
	return benchname.Of(name, baseline, fmt.Sprintf("threads=%d", threads), fmt.Sprintf("m=%d", m), fmt.Sprintf("n=%d", n), fmt.Sprintf("k=%d", k))
}

func BenchmarkGemmPacked(b *testing.B) {
	benchmarkGemm(b, "gemm-packed", sizesToBench(true), 1, func(c, a, w []float32, m, n, k int) { GemmPacked(c, n, a, k, w, m, n, k, 0, Panels(n), nil) })
}

// As the engine does it: many rows are split between two goroutines, else the
// panels.
func BenchmarkGemmPackedTwoThreads(b *testing.B) {
	benchmarkGemm(b, "gemm-packed", sizesToBench(false), 2, func(c, a, w []float32, m, n, k int) {
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
	benchmarkGemm(b, "gemm-nn", sizesToBench(true), 1, func(c, a, w []float32, m, n, k int) { GemmNN(c, n, a, k, w, n, m, 0, n, k, nil) })
}

func BenchmarkGemmNT(b *testing.B) {
	benchmarkGemm(b, "gemm-nt", sizesToBench(true), 1, func(c, a, w []float32, m, n, k int) { GemmNT(c, n, a, k, w, k, m, 0, n, k, nil) })
}

func BenchmarkRows(b *testing.B) {
	rng := rand.New(rand.NewPCG(3, 4))
	const n = 4096
	x, y, dst, half := randoms(rng, n), randoms(rng, n), make([]float32, n), make([]uint16, n)
	cond, dstBits, positive := make([]byte, n), make([]uint32, n), make([]float32, n)
	Abs(positive, x)
	eachPathBench(b, func(b *testing.B, path string) {
		for _, f := range []struct {
			name string
			call func()
		}{
			{"add", func() { Add(dst, x, y) }},
			{"mulscalar", func() { MulScalar(dst, x, 3) }},
			{"exp", func() { Exp(dst, x) }},
			{"tanh", func() { Tanh(dst, x) }},
			{"log", func() { Log(dst, positive) }},
			{"sin", func() { Sin(dst, x) }},
			{"erf", func() { Erf(dst, x) }},
			{"sigmoid", func() { Sigmoid(dst, x) }},
			{"softplus", func() { Softplus(dst, x) }},
			{"pow", func() { Pow(dst, positive, y) }},
			{"max2", func() { PairF32("max")(dst, x, y) }},
			{"less", func() { CompareF32("less")(cond, x, y) }},
			{"select", func() { Select(dstBits, cond, dstBits, dstBits) }},
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
			b.Run(benchname.Of("row", path, "op="+f.name, "n=4096"), func(b *testing.B) {
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
		b.Run(benchname.Of("pack", "go", "layout="+c.name), func(b *testing.B) {
			for b.Loop() {
				Pack(packed, w, c.row, c.col, k, n)
			}
			report(b, 0, 4*k*n)
		})
	}
}
