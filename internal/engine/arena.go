package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
)

const arenaAlign = 64

// mapped is memory off the Go heap; that there is none is
// [transport.ErrLimit].
func mapped(n int) ([]byte, error) {
	b, err := memory.Map(n)
	if err != nil {
		return nil, fmt.Errorf("%w: no %d bytes of memory: %w", transport.ErrLimit, n, err)
	}
	return b, nil
}

// allocState is memory for carried state. It begins as zeros, whatever session
// had it before.
func (e *Engine) allocState(n int) ([]byte, error) {
	b, err := e.stateMem.AllocZero(n)
	if err != nil {
		return nil, fmt.Errorf("%w: no %d bytes of memory: %w", transport.ErrLimit, n, err)
	}
	return b, nil
}

func align(n int) int { return (n + arenaAlign - 1) &^ (arenaAlign - 1) }

// arenas hands out scratch memory, one region per run, and takes it back. The
// contents are what the last run left: runs write before they read.
type arenas struct {
	mu    sync.Mutex
	free  [][]byte
	bytes atomic.Int64
}

const maxFreeArenas = DefaultMaxBatch + 2 // a round has one for each call and one of its own

// get returns a region of at least n bytes, the smallest free one that is
// large enough.
func (a *arenas) get(n int) ([]byte, error) {
	a.mu.Lock()
	best := -1
	for i, f := range a.free {
		if len(f) >= n && (best < 0 || len(f) < len(a.free[best])) {
			best = i
		}
	}
	if best >= 0 {
		b := a.free[best]
		last := len(a.free) - 1
		a.free[best] = a.free[last]
		a.free = a.free[:last]
		a.mu.Unlock()
		return b, nil
	}
	// Nothing fits: give back the largest free region rather than keep both.
	var drop []byte
	if last := len(a.free) - 1; last >= 0 {
		drop, a.free = a.free[last], a.free[:last]
	}
	a.mu.Unlock()
	a.drop(drop)
	// Room to grow, so that a sequence that gets longer does not map anew at
	// every step.
	size := (n + n/4 + 0xffff) &^ 0xffff
	b, err := mapped(size)
	a.bytes.Add(int64(len(b)))
	return b, err
}

func (a *arenas) put(b []byte) {
	if b == nil {
		return
	}
	a.mu.Lock()
	if len(a.free) < maxFreeArenas {
		a.free = append(a.free, b)
		b = nil
	}
	a.mu.Unlock()
	a.drop(b)
}

func (a *arenas) drop(b []byte) {
	a.bytes.Add(-int64(len(b)))
	memory.Unmap(b)
}

func (a *arenas) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, b := range a.free {
		a.drop(b)
	}
	a.free = nil
}
