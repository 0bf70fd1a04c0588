package budget

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// heap is the part of an account's memory that is the collector's. What is
// given back of it stays where it is until the collector has run, so it is not
// free before that: a client that makes garbage pays for it until it is gone.
type heap struct {
	garbage atomic.Int64 // given back, and not collected as far as is known
	outside atomic.Int64 // held of what is mapped
	watched atomic.Bool

	mu    sync.Mutex
	older int64 // of garbage, what was there when the collector last ended

	governor atomic.Pointer[governor]
}

// freeGarbage is garbage that is nobody's to pay for: the collector runs seldom.
const freeGarbage = 8 << 20

// owed is the garbage that is not free.
func (h *heap) owed() int64 { return max(h.garbage.Load()-freeGarbage, 0) }

// dropped counts n bytes that nobody holds any more.
func (h *heap) dropped(n int64) {
	h.garbage.Add(n)
	if !h.watched.Swap(true) {
		h.watch()
	}
	if g := h.governor.Load(); g != nil && h.garbage.Load() > idleGarbage {
		g.kick()
	}
}

// watch notices the next end of a collection that began later.
func (h *heap) watch() {
	s := new(*byte) // of its own block, since it is a pointer
	runtime.AddCleanup(s, (*heap).collected, h)
}

// collected is called after a collection. It has freed what was dropped before it
// began, and so at least what was dropped when the last one ended.
func (h *heap) collected() {
	again := h.aged()
	h.watched.Store(again)
	if again {
		h.watch()
	}
}

// aged takes off what the collection has freed, and says whether there is more.
func (h *heap) aged() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.garbage.Add(-h.older)
	h.older = h.garbage.Load()
	return h.older > 0
}

// collect frees what has been dropped so far and gives its pages to the system.
func (h *heap) collect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.garbage.Load()
	runtime.GC() // after which buffers in pools, gRPC's above all, are one collection from being free
	debug.FreeOSMemory()
	h.garbage.Add(-n)
	h.older = max(h.older-n, 0)
}

// mapped counts memory outside of the heap.
func (h *heap) mapped(n int64) {
	outside := h.outside.Add(n)
	if g := h.governor.Load(); g != nil {
		g.follow(outside)
	}
}

// What the heap of a process may have beyond what the account leaves to it: the
// garbage between two collections, stacks, and the memory of the runtime.
const (
	heapShare = 16 // a part of the limit: one sixteenth
	heapExtra = 40 << 20
	heapLeast = 32 << 20 // however much is mapped
)

const (
	governStep  = 4 << 20                // of mapped memory between two limits
	idleGarbage = 16 << 20               // that is not left to a collector which nothing wakes
	settleTime  = 250 * time.Millisecond // between two collections that nobody waits for
)

// governor keeps the Go heap within what the account leaves to it.
type governor struct {
	h     *heap
	most  int64 // of heap and mapped memory
	fixed int64 // the limit of the environment
	wake  chan struct{}

	mu   sync.Mutex // of who sets the limit
	last atomic.Int64
}

// Govern makes the process's Go heap keep to what the account leaves of its
// limit: the runtime's memory limit follows what is mapped, and pages of a heap
// that was larger go back to the system. One account of a process may do so;
// stop ends it. Without a limit it does nothing.
func (a *Budget) Govern() (stop func()) {
	if a.limit == 0 {
		return func() {}
	}
	before := debug.SetMemoryLimit(-1)
	g := &governor{h: &a.heap, most: a.limit + a.limit/heapShare + heapExtra, fixed: before, wake: make(chan struct{}, 1)}
	g.set()
	a.heap.governor.Store(g)
	ended, end := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		g.settle(end)
	}()
	return func() {
		a.heap.governor.Store(nil)
		close(end)
		<-ended
		debug.SetMemoryLimit(before)
	}
}

// follow sets the limit anew when what is mapped has changed enough.
func (g *governor) follow(outside int64) {
	if d := outside - g.last.Load(); d > -governStep && d < governStep {
		return
	}
	g.set()
	g.kick()
}

func (g *governor) set() {
	g.mu.Lock()
	defer g.mu.Unlock()
	outside := g.h.outside.Load()
	g.last.Store(outside)
	debug.SetMemoryLimit(g.limit(outside))
}

// limit is the heap's, with so much mapped.
func (g *governor) limit(outside int64) int64 { return min(max(g.most-outside, heapLeast), g.fixed) }

func (g *governor) kick() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// settle collects when the heap is larger than it may be, or holds garbage that
// nobody else will collect soon.
func (g *governor) settle(end <-chan struct{}) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-g.wake:
		case <-end:
			return
		}
		if resident() > g.limit(g.h.outside.Load()) {
			g.h.collect()
		}
		pause.Reset(settleTime)
		select {
		case <-pause.C:
		case <-end:
			return
		}
		if g.h.garbage.Load() > idleGarbage || resident() > g.limit(g.h.outside.Load()) {
			g.h.collect()
		}
	}
}

// resident is the memory of the process that is the Go runtime's, without what it
// has given back to the system.
func resident() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
