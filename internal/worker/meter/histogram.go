package meter

import (
	"sync/atomic"
	"time"
)

// bounds are the upper ends of the buckets: three per decade from 100 us, the
// step of a small model, to 50 s, a long prefill.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 200 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 20 * time.Second, 50 * time.Second,
}

// Histogram counts durations in buckets. The zero Histogram is ready to use.
type Histogram struct {
	counts [len(bounds) + 1]atomic.Int64
	sum    atomic.Int64 // nanoseconds
}

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	for i < len(bounds) && d > bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(d))
}

// Snapshot returns the number of durations up to each bound in seconds, their
// total number, and their sum in seconds.
func (h *Histogram) Snapshot() (upTo map[float64]uint64, count uint64, sum float64) {
	upTo = make(map[float64]uint64, len(bounds))
	for i := range h.counts {
		count += uint64(h.counts[i].Load())
		if i < len(bounds) {
			upTo[bounds[i].Seconds()] = count
		}
	}
	return upTo, count, time.Duration(h.sum.Load()).Seconds()
}
