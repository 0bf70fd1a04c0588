package cpu

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
)

// poolWork counts how often each position is visited.
type poolWork struct {
	op.Op
	seen  []atomic.Int32
	slow  time.Duration
	panic int
}

func poolChunk(s *step, lo, hi int) {
	w := s.op.(*poolWork)
	for i := lo; i < hi; i++ {
		if i == w.panic {
			panic("position")
		}
		w.seen[i].Add(1)
	}
	for begin := time.Now(); time.Since(begin) < w.slow; {
		runtime.Gosched()
	}
}

// TestPoolRunsEachPositionOnce runs loops of several concurrent runs, with
// chunks long enough for the helpers to fall asleep, short ones, and ones that
// panic.
func TestPoolRunsEachPositionOnce(t *testing.T) {
	p := newPool(4)
	defer p.close()
	var wg sync.WaitGroup
	for r := range 3 {
		wg.Go(func() {
			p.begin()
			defer p.end()
			j := newJob()
			for i := range 400 {
				n := 1 + (i*7+r)%50
				w := &poolWork{seen: make([]atomic.Int32, n), panic: -1}
				if i%40 == 0 {
					w.slow = 2 * spins
				}
				if i%25 == 24 {
					w.panic = i % n
				}
				s := &step{op: w}
				run := func() { p.run(j, s, n, 1+i%4, poolChunk) }
				if w.panic >= 0 {
					require.Equal(t, "position", panicOf(run))
					continue
				}
				run()
				for k := range w.seen {
					if got := w.seen[k].Load(); got != 1 {
						t.Errorf("position %d visited %d times", k, got)
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestPoolSleeps verifies that helpers take no time between runs.
func TestPoolSleeps(t *testing.T) {
	p := newPool(2)
	defer p.close()
	p.begin()
	w := &poolWork{seen: make([]atomic.Int32, 64), panic: -1}
	p.run(newJob(), &step{op: w}, 64, 1, poolChunk)
	p.end()
	require.Eventually(t, func() bool { return p.helpers[0].asleep.Load() }, 10*time.Second, time.Millisecond)
	// Nothing wakes it again.
	require.Never(t, func() bool { return !p.helpers[0].asleep.Load() }, 20*time.Millisecond, time.Millisecond)
}

// panicOf is the value that f panics with, wherever it was raised first.
func panicOf(f func()) (value any) {
	defer func() {
		if r := recover(); r != nil {
			value = device.Caught(r).Value
		}
	}()
	f()
	return nil
}
