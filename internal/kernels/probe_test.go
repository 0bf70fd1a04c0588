package kernels

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// probed are rates by the number of threads, less one: those of the best path.
type probed struct {
	fma, read []float64
}

// probes measures what the machine can do, once.
var probes = sync.OnceValue(func() probed {
	was := active
	defer func() { active = was }()
	active = bestPath()
	buffer := make([]float32, 1<<26) // far larger than the caches
	for i := range buffer {
		buffer[i] = 1
	}
	var p probed
	for threads := 1; threads <= runtime.GOMAXPROCS(0); threads++ {
		p.fma = append(p.fma, fastestRate(threads, func(int) int { return ProbeFMA(1 << 20) }))
		part := len(buffer) / threads
		p.read = append(p.read, fastestRate(threads, func(i int) int { return ProbeRead(buffer[i*part:][:part]) }))
	}
	return p
})

// fastestRate is the best of some rounds of f on all threads, in units a second.
func fastestRate(threads int, f func(thread int) int) float64 {
	best := 0.0
	for range 5 {
		done := make([]int, threads)
		var wg sync.WaitGroup
		start := time.Now()
		for i := range threads {
			wg.Go(func() { done[i] = f(i) })
		}
		wg.Wait()
		total := 0
		for _, n := range done {
			total += n
		}
		best = max(best, float64(total)/time.Since(start).Seconds())
	}
	return best
}

// BenchmarkProbe reports what the other benchmarks are compared with.
func BenchmarkProbe(b *testing.B) {
	for i := range probes().fma {
		b.Run(fmt.Sprintf("of=fma/threads=%d", i+1), func(b *testing.B) {
			for b.Loop() { // measured once, above
			}
			b.ReportMetric(probes().fma[i]/1e9, "GF/s")
			b.ReportMetric(0, "ns/op")
		})
		b.Run(fmt.Sprintf("of=read/threads=%d", i+1), func(b *testing.B) {
			for b.Loop() { // measured once, above
			}
			b.ReportMetric(probes().read[i]/1e9, "GB/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func TestProbes(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		require.Zero(t, ProbeFMA(0))
		require.Zero(t, ProbeFMA(7)%(7*2*probeChains))
		s := make([]float32, 200)
		s[3] = float32(math.NaN())
		require.Equal(t, 4*192, ProbeRead(s))
		require.Zero(t, ProbeRead(s[:63]))
	})
}
