package budget

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// heap is the part of a budget's memory that is on the Go heap. Released memory
// stays in use until the collector has run, so it is not free before that: a
// client that makes garbage pays for it until it is collected.
type heap struct {
	garbage atomic.Int64 // released, and not known to be collected
	outside atomic.Int64 // held in mappings
	watched atomic.Bool

	mu    sync.Mutex
	older int64 // part of garbage that existed when the last collection ended

	governor atomic.Pointer[governor]
}

// freeGarbage is garbage that is not charged, because the collector runs
// seldom.
const freeGarbage = 8 << 20

// owed is the garbage that is charged.
func (h *heap) owed() int64 { return max(h.garbage.Load()-freeGarbage, 0) }

// dropped counts n released bytes.
func (h *heap) dropped(n int64) {
	h.garbage.Add(n)
	if !h.watched.Swap(true) {
		h.watch()
	}
	if g := h.governor.Load(); g != nil && h.garbage.Load() > idleGarbage {
		g.kick()
	}
}

// watch notices the end of the next collection that begins later.
func (h *heap) watch() {
	s := new(*byte) // in its own block, since it is a pointer
	runtime.AddCleanup(s, (*heap).collected, h)
}

// collected is called after a collection. It has freed everything dropped
// before it began, and so at least everything dropped when the previous one
// ended.
func (h *heap) collected() {
	again := h.aged()
	h.watched.Store(again)
	if again {
		h.watch()
	}
}

// aged subtracts what the collection has freed, and reports whether garbage
// remains.
func (h *heap) aged() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.garbage.Add(-h.older)
	h.older = h.garbage.Load()
	return h.older > 0
}

// collect frees everything dropped so far and returns its pages to the system.
func (h *heap) collect() {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.garbage.Load()
	runtime.GC() // buffers in pools, mainly gRPC's, need one more collection
	debug.FreeOSMemory()
	h.garbage.Add(-n)
	h.older = max(h.older-n, 0)
}

// mapped counts memory outside the heap.
func (h *heap) mapped(n int64) {
	outside := h.outside.Add(n)
	if g := h.governor.Load(); g != nil {
		g.follow(outside)
	}
}

// What the heap of a process may hold beyond what the budget leaves to it: the
// garbage between two collections, stacks, and the memory of the runtime.
const (
	heapShare = 16 // one sixteenth of the limit
	heapExtra = 40 << 20
	heapLeast = 32 << 20 // minimum, however much is mapped
)

const (
	governStep  = 4 << 20                // change of mapped memory between two limits
	idleGarbage = 16 << 20               // garbage that is not left to an idle collector
	settleTime  = 250 * time.Millisecond // between two background collections
)

// governor keeps the Go heap within what the budget leaves to it.
type governor struct {
	h     *heap
	most  int64 // maximum of heap and mapped memory
	fixed int64 // limit from the environment
	wake  chan struct{}

	mu   sync.Mutex // held to set the limit
	last atomic.Int64
}

// Govern keeps the process's Go heap within what the budget leaves of its
// limit: the runtime's memory limit follows the mapped memory, and pages of a
// heap that was larger return to the system. Only one budget of a process may
// do so; stop ends it. Without a limit it does nothing.
func (a *Budget) Govern() (stop func()) {
	if a.limit.Load() == 0 {
		return func() {}
	}
	before := debug.SetMemoryLimit(-1)
	g := &governor{h: &a.heap, most: a.limit.Load() + a.limit.Load()/heapShare + heapExtra, fixed: before, wake: make(chan struct{}, 1)}
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

// follow sets the limit again when the mapped memory has changed enough.
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

// limit is the heap's limit with the given mapped memory.
func (g *governor) limit(outside int64) int64 { return min(max(g.most-outside, heapLeast), g.fixed) }

func (g *governor) kick() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// settle collects when the heap exceeds its limit, or holds garbage that no
// other collection will free soon.
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

// resident is the memory of the Go runtime, without what it has returned to the
// system.
func resident() int64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64() - s[1].Value.Uint64())
}
