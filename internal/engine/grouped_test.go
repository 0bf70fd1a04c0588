package engine_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/device/cpu"
	"github.com/genie-sdk/go/internal/engine"
	"github.com/genie-sdk/go/internal/kernels"
)

var smallLlama = llamaSize{layers: 2, width: 48, heads: 6, kv: 2, dim: 8, ffn: 80, vocab: 29}

func llamas() map[string]*llama {
	return map[string]*llama{
		"plain": {llamaSize: smallLlama}, "window": {llamaSize: smallLlama, window: 100}, "masked": {llamaSize: smallLlama, masked: true},
		"transposed caches": {llamaSize: smallLlama, turned: true},
		"one head of keys":  {llamaSize: llamaSize{layers: 1, width: 33, heads: 9, kv: 1, dim: 6, ffn: 40, vocab: 7}},
	}
}

// TestGroupedAttention decodes with caches in pages and in one piece, in portions of
// any size, fused and step by step: the bits are the same, near those of the
// references.
func TestGroupedAttention(t *testing.T) {
	portions := []int{3, 1, 1, 5, 1, 250, 1, 1, 13, 1, 300, 1}
	for name, l := range llamas() {
		t.Run(name, func(t *testing.T) {
			run := func(e *engine.Engine, err error) *speaker {
				require.NoError(t, err)
				defer e.Close()
				prog := l.open(t, e)
				s := &speaker{l: l, e: e, prog: prog, s: e.NewSession(), batch: 2, seed: 5, alone: true}
				defer s.s.Close()
				for _, n := range portions {
					require.NoError(t, s.say(n))
				}
				pages, _ := engine.StatePages(s.s, 0)
				if prog.Paged[0] {
					require.Greater(t, pages, 1)
				}
				return s
			}
			options := engine.Options{Device: cpu.Open, Threads: 3}
			fused, alone := run(engine.New(options)), run(engine.NewReference(options, false))
			require.Equal(t, !l.turned, fused.prog.Paged[0] && fused.prog.Paged[1])
			require.Contains(t, fused.prog.Labels, "attention+reshape")
			require.Equal(t, alone.said, fused.said)
			plain := run(engine.NewReference(options, true))
			require.InDeltaSlice(t, plain.said, fused.said, 1e-4)
			// A portion in pieces: each row has the same bits.
			e, err := engine.New(options)
			require.NoError(t, err)
			defer e.Close()
			one := &speaker{l: l, e: e, prog: l.open(t, e), s: e.NewSession(), batch: 1, seed: 5}
			two := &speaker{l: l, e: e, prog: one.prog, s: e.NewSession(), batch: 1, seed: 5}
			require.NoError(t, one.say(40))
			for range 40 {
				require.NoError(t, two.say(1))
			}
			require.Equal(t, one.said, two.said)
		})
	}
}

// TestGroupedAttentionBatches lets sessions with caches of different lengths run
// as dynamic batches: each has the bits that it has alone.
func TestGroupedAttentionBatches(t *testing.T) {
	for name, l := range llamas() {
		t.Run(name, func(t *testing.T) {
			open := func(most int) (*engine.Engine, []*speaker) {
				e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2, MaxBatch: most})
				require.NoError(t, err)
				prog := l.open(t, e)
				var all []*speaker
				for i := range 4 {
					all = append(all, &speaker{l: l, e: e, prog: prog, s: e.NewSession(), batch: 1 + i/3, seed: uint64(i)})
					require.NoError(t, all[i].say(1+100*i))
				}
				return e, all
			}
			e, together := open(32)
			solo, alone := open(1)
			for range 5 {
				waiting, release := engine.HoldBatches(together[0].prog)
				errs := make([]error, len(together))
				var wg sync.WaitGroup
				for i, s := range together {
					wg.Go(func() { errs[i] = s.say(1) })
				}
				for waiting() < len(together) {
					runtime.Gosched()
				}
				release()
				wg.Wait()
				require.Equal(t, make([]error, len(together)), errs)
				for _, s := range alone {
					require.NoError(t, s.say(1))
				}
			}
			require.Positive(t, e.Stats().BatchedRuns)
			require.Zero(t, solo.Stats().BatchedRuns)
			for i := range together {
				require.Equal(t, alone[i].said, together[i].said, "session %d", i)
				together[i].s.Close()
				alone[i].s.Close()
			}
			require.NoError(t, e.Close())
			require.NoError(t, solo.Close())
		})
	}
}

// TestGroupedAttentionAllocatesNothing verifies that a steady step takes no memory
// of the Go heap, but for what the test collects.
func TestGroupedAttentionAllocatesNothing(t *testing.T) {
	l := llamas()["plain"]
	e, err := engine.New(engine.Options{Device: cpu.Open, Threads: 2})
	require.NoError(t, err)
	defer e.Close()
	s := &speaker{l: l, e: e, prog: l.open(t, e), s: e.NewSession(), batch: 1}
	defer s.s.Close()
	step := func() {
		s.said = s.said[:0]
		if err := s.say(1); err != nil {
			t.Fatal(err)
		}
	}
	for range 70 {
		step()
	}
	// The map of sizes is the test's own.
	if n := testing.AllocsPerRun(40, step); n > 2 {
		t.Errorf("a step allocates %v times", n)
	}
}

// BenchmarkGroupedDecode measures a step at 3,500 past rows against the time that
// the same threads take to read as many bytes as its weights and caches have, step
// by step in turn: the best of each counts.
func BenchmarkGroupedDecode(b *testing.B) {
	l := &llama{llamaSize: llamaSize{layers: 8, width: 1024, heads: 16, kv: 4, dim: 64, ffn: 2816}}
	const past = 3500
	e, err := engine.New(engine.Options{Device: cpu.Open, MaxScratch: 4 << 30})
	require.NoError(b, err)
	defer e.Close()
	prog := l.open(b, e)
	bytes := 4 * 2 * l.layers * l.kv * l.dim * past
	for _, w := range l.weights {
		bytes += len(w.Data)
	}
	memory := make([]float32, bytes/4)
	for i := range memory {
		memory[i] = 1
	}
	b.Run(benchname.Of("grouped-decode", "genie", fmt.Sprint("past=", past)), func(b *testing.B) {
		s := &speaker{l: l, e: e, prog: prog, s: e.NewSession(), batch: 1}
		defer s.s.Close()
		require.NoError(b, s.say(past))
		step, read := time.Hour, time.Hour
		for b.Loop() {
			s.said = s.said[:0]
			began := time.Now()
			require.NoError(b, s.say(1))
			step = min(step, time.Since(began))
			read = min(read, timeToRead(memory, runtime.GOMAXPROCS(0)))
		}
		b.ReportMetric(float64(step.Nanoseconds()), "best-ns/op")
		b.ReportMetric(float64(bytes)/step.Seconds()/1e9, "GB/s")
		b.ReportMetric(float64(bytes)/read.Seconds()/1e9, "probe-GB/s")
		b.ReportMetric(read.Seconds()/step.Seconds(), "bw-frac")
	})
}

// timeToRead is how long so many threads take to read memory.
func timeToRead(memory []float32, threads int) time.Duration {
	began := time.Now()
	const piece = 1 << 20
	var next atomic.Int64
	var wg sync.WaitGroup
	for range threads {
		wg.Go(func() {
			for i := int(next.Add(piece)) - piece; i < len(memory); i = int(next.Add(piece)) - piece {
				kernels.ProbeRead(memory[i:min(i+piece, len(memory))])
			}
		})
	}
	wg.Wait()
	return time.Since(began)
}
