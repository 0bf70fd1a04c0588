package kernels

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
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
		start := time.Now()
		total := onThreads(threads, f)
		best = max(best, float64(total)/time.Since(start).Seconds())
	}
	return best
}

// onThreads runs f on all threads at once and gives the sum of their units.
func onThreads(threads int, f func(thread int) int) (total int) {
	done := make([]int, threads)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() { done[i] = f(i) })
	}
	wg.Wait()
	for _, n := range done {
		total += n
	}
	return total
}

// BenchmarkProbe is what the other benchmarks are compared with: multiplications
// and additions that wait for nothing, and reading memory far larger than the
// caches.
func BenchmarkProbe(b *testing.B) {
	was := active
	defer func() { active = was }()
	active = bestPath()
	buffer := make([]float32, 1<<26)
	for i := range buffer {
		buffer[i] = 1
	}
	for threads := 1; threads <= runtime.GOMAXPROCS(0); threads++ {
		part := len(buffer) / threads
		for _, probe := range []struct {
			of string
			f  func(thread int) int
		}{
			{"fma", func(int) int { return ProbeFMA(1 << 20) }},
			{"read", func(i int) int { return ProbeRead(buffer[i*part:][:part]) }},
		} {
			b.Run(benchname.Of("probe", Path(), "of="+probe.of, fmt.Sprintf("threads=%d", threads)), func(b *testing.B) {
				units := 0
				for b.Loop() {
					units = onThreads(threads, probe.f)
				}
				if probe.of == "fma" {
					report(b, units, 0)
				} else {
					report(b, 0, units)
				}
			})
		}
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
