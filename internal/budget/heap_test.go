package budget

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/genie-sdk/go/transport"
)

// TestGarbageIsNotFree verifies that heap memory is free after the collector
// has run, which it does when the memory is needed.
func TestGarbageIsNotFree(t *testing.T) {
	const limit = 100 << 20
	a := New(limit)
	require.NoError(t, a.Reserve(Retained, 60<<20, "kept"))
	a.Release(Retained, 60<<20)
	require.Zero(t, a.Used())
	require.False(t, a.add(60<<20), "not free yet")
	require.NoError(t, a.Reserve(State, 60<<20, "state"))
	require.Zero(t, a.heap.garbage.Load(), "collected for it")
	require.ErrorIs(t, a.Reserve(State, 60<<20, "state"), transport.ErrMemory)
	a.Release(State, 60<<20)
	require.True(t, a.add(limit), "what was mapped is free at once")
}

// TestGarbageIsForgotten follows the collector's own cycles.
func TestGarbageIsForgotten(t *testing.T) {
	a := New(1 << 30)
	require.NoError(t, a.Reserve(Plans, 20<<20, "a plan"))
	a.Release(Plans, 20<<20)
	require.Equal(t, int64(12<<20), a.heap.owed())
	require.Eventually(t, func() bool { runtime.GC(); return a.heap.garbage.Load() == 0 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { runtime.GC(); return !a.heap.watched.Load() }, 10*time.Second, time.Millisecond)
}

// TestGovern lowers the limit of the heap by what is mapped, and sets it back.
func TestGovern(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	a := New(256 << 20)
	stop := a.Govern()
	most := debug.SetMemoryLimit(-1)
	require.Equal(t, int64(256<<20+16<<20+heapExtra), most)
	require.NoError(t, a.Reserve(Weights, 100<<20, "weights"))
	require.Equal(t, most-100<<20, debug.SetMemoryLimit(-1))
	require.NoError(t, a.Reserve(Retained, 100<<20, "kept"))
	require.Equal(t, most-100<<20, debug.SetMemoryLimit(-1), "kept values are in the heap")
	a.Release(Weights, 100<<20)
	require.Equal(t, most, debug.SetMemoryLimit(-1))
	a.Release(Retained, 100<<20)
	require.Eventually(t, func() bool { return a.heap.garbage.Load() == 0 }, 10*time.Second, time.Millisecond, "nothing else wakes the collector")
	stop()
	require.Equal(t, before, debug.SetMemoryLimit(-1))
}
