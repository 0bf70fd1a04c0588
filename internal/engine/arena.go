package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

const arenaAlign = 64

// noMemory is the error for n bytes that the system does not give.
func noMemory(n int, err error) error {
	return fmt.Errorf("%w: the system gives no %d bytes: %w", transport.ErrMemory, n, err)
}

// allocState is memory for carried state, which has been reserved. It begins as
// zeros, whatever session had it before.
func (e *Engine) allocState(ctx context.Context, n int) ([]byte, error) {
	b, used, err := e.stateMem.AllocUsed(n)
	if err != nil {
		return nil, noMemory(n, err)
	}
	h := haltOn(ctx)
	for i := 0; i < used; i += copyPiece {
		if i > 0 && h.Now() {
			e.stateMem.Free(b)
			return nil, stopped(ctx)
		}
		clear(b[i:min(i+copyPiece, used)])
	}
	return b, nil
}

func align(n int) int { return (n + arenaAlign - 1) &^ (arenaAlign - 1) }

// arenas hands out scratch memory, one region per run, and takes it back. The
// contents are what the last run left: runs write before they read.
type arenas struct {
	account  *budget.Budget
	mu       sync.Mutex
	free     [][]byte
	closed   bool
	discards sync.WaitGroup
}

const maxFreeArenas = DefaultMaxBatch + 2 // a round has one for each call and one of its own

// arenaSizes are the sizes of a new region of n bytes: with room to grow, so
// that a sequence that gets longer does not map anew at every step, and without.
func arenaSizes(n int) [2]int {
	const unit = 0xffff
	return [2]int{(n + n/4 + unit) &^ unit, (n + 4095) &^ 4095}
}

// take returns a free region of at least n bytes, the smallest that is large
// enough. When none is, it returns nil and gives the largest one back rather
// than keep that and a new one.
func (a *arenas) take(n int) []byte {
	b, drop := a.pick(n)
	a.drop(drop)
	return b
}

// pick takes the region of take, or the one to give back, from the list.
func (a *arenas) pick(n int) (b, drop []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	best := -1
	for i, f := range a.free {
		if len(f) >= n && (best < 0 || len(f) < len(a.free[best])) {
			best = i
		}
	}
	last := len(a.free) - 1
	switch {
	case best >= 0:
		b = a.free[best]
		a.free[best] = a.free[last]
		a.free = a.free[:last]
	case last >= 0:
		drop, a.free = a.free[last], a.free[:last]
	}
	return b, drop
}

// get returns a region of at least n bytes.
func (a *arenas) get(n int) ([]byte, error) {
	if b := a.take(n); b != nil {
		return b, nil
	}
	var err error
	for _, size := range arenaSizes(n) {
		if err = a.account.Reserve(budget.Scratch, int64(size), "scratch memory"); err == nil {
			return a.mapped(size)
		}
	}
	return nil, err
}

// mapped maps a region of a size that has been reserved.
func (a *arenas) mapped(size int) ([]byte, error) {
	b, err := memory.Map(size)
	if err != nil {
		a.account.Release(budget.Scratch, int64(size))
		return nil, noMemory(size, err)
	}
	return b, nil
}

func (a *arenas) put(b []byte) {
	if b != nil && !a.keep(b) {
		a.drop(b)
	}
}

// keep keeps a region for the next run if there is room for one more.
func (a *arenas) keep(b []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.free) >= maxFreeArenas {
		return false
	}
	a.free = append(a.free, b)
	return true
}

// discardFrom is the size from which a region is worth being given back when the
// run that had it was stopped.
const discardFrom = 1 << 20

// discard gives a region back to the system, which takes its time, without making
// the caller wait for it.
func (a *arenas) discard(b []byte) {
	if len(b) < discardFrom {
		a.put(b)
		return
	}
	if !a.dropLater(b) {
		a.drop(b)
	}
}

// dropLater drops a region on a goroutine that close waits for. It is false when
// that has begun to.
func (a *arenas) dropLater(b []byte) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.discards.Go(func() { a.drop(b) })
	return true
}

func (a *arenas) drop(b []byte) {
	a.account.Release(budget.Scratch, int64(len(b)))
	memory.Unmap(b)
}

// Idle implements [budget.Holder].
func (a *arenas) Idle() (n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.free {
		n += int64(len(b))
	}
	return n
}

// Reclaim implements [budget.Holder]. It gives back all free regions: they are
// mapped anew at the cost of a few page faults.
func (a *arenas) Reclaim(int64) {
	for _, b := range a.empty(false) {
		a.drop(b)
	}
}

// empty takes all regions from the list, to which none comes any more if that is
// the last time.
func (a *arenas) empty(last bool) [][]byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	free := a.free
	a.free, a.closed = nil, a.closed || last
	return free
}

func (a *arenas) close() {
	free := a.empty(true)
	a.discards.Wait()
	for _, b := range free {
		a.drop(b)
	}
}
