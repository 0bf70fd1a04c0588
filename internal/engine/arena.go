package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

// arenas hands out memory for runs, one region each, and takes it back. A
// region contains what the last run left: runs write before they read. There is
// one for scratch memory of the device, and one for memory of this process for
// inputs.
type arenas[T any] struct {
	budget  *budget.Budget
	alloc   func(n int) (T, error)
	release func(T)
	size    func(T) int

	mu       sync.Mutex
	free     []T
	closed   bool
	discards sync.WaitGroup
}

// scratchArenas are regions of a device's scratch memory.
func scratchArenas(total *budget.Budget, d device.Device) *arenas[device.Buffer] {
	return &arenas[device.Buffer]{
		budget: total,
		alloc: func(n int) (device.Buffer, error) {
			return d.Alloc(context.Background(), device.UseScratch, n)
		},
		release: func(b device.Buffer) { d.Free(device.UseScratch, b) },
		size:    device.Buffer.Len,
	}
}

// hostArenas are regions of this process's memory, which inputs are received into.
func hostArenas(total *budget.Budget) *arenas[[]byte] {
	return &arenas[[]byte]{
		budget: total,
		alloc: func(n int) ([]byte, error) {
			b, err := memory.Map(n)
			if err != nil {
				return nil, noMemory(n, err)
			}
			return b, nil
		},
		release: memory.Unmap,
		size:    func(b []byte) int { return len(b) },
	}
}

// noMemory is the error for n bytes that the system does not provide.
func noMemory(n int, err error) error {
	return fmt.Errorf("%w: the system gives no %d bytes: %w", transport.ErrMemory, n, err)
}

const maxFreeArenas = DefaultMaxBatch + 2 // a batch has one for each call and one of its own

// arenaSizes are the sizes of a new region of n bytes: with room to grow, so
// that a growing sequence does not map memory at every step, and without.
func arenaSizes(n int) [2]int {
	const unit = 0xffff
	return [2]int{(n + n/4 + unit) &^ unit, (n + 4095) &^ 4095}
}

// take returns a free region of at least n bytes, the smallest that is large
// enough. When none is, ok is false and the largest one is unmapped rather than
// retained beside a new one.
func (a *arenas[T]) take(n int) (b T, ok bool) {
	b, found, drop := a.pick(n)
	if drop {
		a.drop(b)
		var none T
		return none, false
	}
	return b, found
}

// pick takes the region of take, or the one to unmap, from the list.
func (a *arenas[T]) pick(n int) (b T, found, drop bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	best := -1
	for i, f := range a.free {
		if a.size(f) >= n && (best < 0 || a.size(f) < a.size(a.free[best])) {
			best = i
		}
	}
	last := len(a.free) - 1
	switch {
	case best >= 0:
		b = a.free[best]
		a.free[best] = a.free[last]
		a.free = a.free[:last]
		return b, true, false
	case last >= 0:
		b, a.free = a.free[last], a.free[:last]
		return b, false, true
	}
	return b, false, false
}

// get returns a region of at least n bytes.
func (a *arenas[T]) get(n int) (b T, err error) {
	if b, ok := a.take(n); ok {
		return b, nil
	}
	for _, size := range arenaSizes(n) {
		if err = a.budget.Reserve(budget.Scratch, int64(size), "scratch memory"); err == nil {
			return a.mapped(size)
		}
	}
	return b, err
}

// mapped makes a region of a size that has been reserved.
func (a *arenas[T]) mapped(size int) (T, error) {
	b, err := a.alloc(size)
	if err != nil {
		a.budget.Release(budget.Scratch, int64(size))
	}
	return b, err
}

// put takes back a region from get.
func (a *arenas[T]) put(b T) {
	if !a.keep(b) {
		a.drop(b)
	}
}

// keep retains a region for the next run if there is room for one more.
func (a *arenas[T]) keep(b T) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.free) >= maxFreeArenas {
		return false
	}
	a.free = append(a.free, b)
	return true
}

// discardFrom is the size from which a region is worth unmapping when its run
// was stopped.
const discardFrom = 1 << 20

// discard returns a region to the system, which takes a while, without making
// the caller wait for it.
func (a *arenas[T]) discard(b T) {
	if a.size(b) < discardFrom {
		a.put(b)
		return
	}
	if !a.dropLater(b) {
		a.drop(b)
	}
}

// dropLater drops a region on a goroutine that close waits for. It returns
// false when close has begun.
func (a *arenas[T]) dropLater(b T) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.discards.Go(func() { a.drop(b) })
	return true
}

func (a *arenas[T]) drop(b T) {
	n := a.size(b)
	a.release(b)
	a.budget.Release(budget.Scratch, int64(n))
}

// Idle implements [budget.Holder].
func (a *arenas[T]) Idle() (n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.free {
		n += int64(a.size(b))
	}
	return n
}

// Reclaim implements [budget.Holder]. It unmaps all free regions: mapping them
// again costs a few page faults.
func (a *arenas[T]) Reclaim(int64) {
	for _, b := range a.empty(false) {
		a.drop(b)
	}
}

// empty takes all regions from the list; the last time closes it.
func (a *arenas[T]) empty(last bool) []T {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.free
	a.free, a.closed = nil, a.closed || last
	return free
}

func (a *arenas[T]) close() {
	free := a.empty(true)
	a.discards.Wait()
	for _, b := range free {
		a.drop(b)
	}
}
