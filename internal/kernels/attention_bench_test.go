package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/genie-sdk/go/internal/benchname"
)

// One head of 64 elements of a causal prompt, and of a step of decoding. The
// flops are those of the keys that are seen.
func BenchmarkAttention(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	const dim = 64
	eachPathBench(b, func(b *testing.B, path string) {
		for _, size := range [][2]int{{512, 512}, {64, 512}, {128, 128}, {1024, 1024}, {1, 512}, {1, 4096}, {4, 512}, {8, 1024}} {
			s := AttentionSpec{Rows: size[0], Keys: size[1], Dim: dim, ValueDim: dim, Scale: 0.125, End: size[1] - size[0] + 1}
			// Heads one after another, as many as there are in a layer.
			const heads, ldq = 12, 3 * 12 * dim
			q, k, v := randoms(rng, s.Rows*ldq), randoms(rng, heads*s.Keys*dim), randoms(rng, heads*s.Keys*dim)
			out, work := make([]float32, s.Rows*dim), make([]float32, s.Work())
			flops := 0
			for r := range s.Rows {
				from, to := s.Range(r)
				flops += 4 * dim * (to - from)
			}
			b.Run(benchname.Of("attention", path, fmt.Sprintf("rows=%d", s.Rows), fmt.Sprintf("keys=%d", s.Keys)), func(b *testing.B) {
				b.ReportAllocs()
				h := 0
				for b.Loop() {
					at := h * s.Keys * dim
					Attention(out, dim, q[h*dim:], ldq, InOnePiece(k[at:], dim), InOnePiece(v[at:], dim), s, work, nil)
					h = (h + 1) % heads
				}
				perSecond := float64(b.N) / b.Elapsed().Seconds()
				if s.Rows <= benchMemoryBound {
					report(b, flops, 8*dim*s.Keys)
					b.ReportMetric(float64(8*dim*s.Keys)*perSecond/probes().read[0], "bw-frac")
				} else {
					report(b, flops, 0)
					b.ReportMetric(float64(flops)*perSecond/probes().fma[0], "peak-frac")
				}
			})
		}
	})
}
