package meter_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/internal/benchname"
	"github.com/genie-sdk/go/internal/worker/meter"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/wire"
)

func TestHistogram(t *testing.T) {
	var h meter.Histogram
	for _, d := range []time.Duration{0, 100 * time.Microsecond, 100*time.Microsecond + 1, time.Second, time.Hour} {
		h.Observe(d)
	}
	upTo, n, sum := h.Snapshot()
	require.EqualValues(t, 5, n)
	require.InDelta(t, 3601.0002, sum, 1e-6)
	require.EqualValues(t, 2, upTo[100e-6], "a bound is part of its bucket")
	require.EqualValues(t, 3, upTo[200e-6])
	require.EqualValues(t, 3, upTo[0.5])
	require.EqualValues(t, 4, upTo[1])
	require.EqualValues(t, 4, upTo[50], "what is longer is in the count only")
	require.NotContains(t, upTo, math.Inf(1))
}

func TestRequests(t *testing.T) {
	var m meter.Meter
	m.Request(wire.TypeRun, time.Second, nil)
	m.Request(wire.TypeRun, time.Second, fmt.Errorf("%w: four rows", transport.ErrShape))
	m.Request(wire.TypeRun, time.Second, context.Canceled)
	m.Request(wire.Type(200), 0, errors.New("an unknown error"))
	counts := map[wire.Type]int64{}
	m.Requests(func(typ wire.Type, n int64, h *meter.Histogram) {
		counts[typ] = n
		_, observed, _ := h.Snapshot()
		require.EqualValues(t, n, observed)
	})
	require.Equal(t, map[wire.Type]int64{wire.TypeRun: 3, 31: 1}, counts)
	failed := map[uint32]int64{}
	m.Errors(func(_ wire.Type, code uint32, n int64) { failed[code] += n })
	require.Equal(t, map[uint32]int64{2: 1, 16: 1, 17: 1}, failed)
}

// TestNothingIsAllocated is the price of a token: what the worker does to count
// a run of a loop and a request.
func TestNothingIsAllocated(t *testing.T) {
	var m meter.Meter
	require.Zero(t, testing.AllocsPerRun(100, func() {
		m.LoopRun.Observe(3 * time.Millisecond)
		m.LoopRuns.Add(1)
		m.Tokens.Add(1)
		m.Request(wire.TypeLoop, time.Millisecond, nil)
	}))
}

func BenchmarkToken(b *testing.B) {
	var m meter.Meter
	b.Run(benchname.Of("meter-token", "genie"), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.LoopRun.Observe(3 * time.Millisecond)
			m.LoopRuns.Add(1)
			m.Tokens.Add(1)
		}
	})
}
