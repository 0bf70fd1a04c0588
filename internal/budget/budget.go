// Package budget is the memory budget of a worker: it counts the bytes held of
// each kind and decides whether more may be taken. Memory is reserved before it
// is allocated, so a request that does not fit is refused before it has any
// effect.
//
//	if err := memory.Reserve(budget.State, n, "a cache"); err != nil {
//		return err // a *transport.MemoryError
//	}
//	defer memory.Release(budget.State, n)
package budget

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/transport"
)

// Kind is the use of memory.
type Kind uint8

// The kinds of memory.
const (
	Weights  Kind = iota // as stored
	Packed               // weights in the layout that kernels read
	State                // carried by sessions
	Retained             // outputs that sessions retain
	Scratch              // of runs
	Staging              // of received payloads
	Plans                // compiled plans, their constants, and their bindings in sessions
	Buffers              // of connections and sessions, and of data in transit between them
	NumKinds
)

// onHeap reports whether memory of a kind is on the Go heap: it stays in use
// until the collector has run, even if nothing refers to it. All other memory
// is mapped.
func (k Kind) onHeap() bool { return k == Retained || k == Plans || k == Buffers }

// Amounts is bytes by kind.
type Amounts [NumKinds]int64

// Total is the sum over all kinds.
func (a Amounts) Total() (n int64) {
	for _, v := range a {
		n += v
	}
	return n
}

// Holder holds memory that it can give up when it is needed elsewhere.
type Holder interface {
	// Idle is the number of bytes that it could give up now.
	Idle() int64
	// Reclaim gives up at least n bytes, or all that it can, and releases them
	// from the budget. It must not reserve.
	Reclaim(n int64)
}

// The order in which holders are asked to give up memory.
const (
	Spare   = iota // can be mapped again at once
	Derived        // can be computed again, or sent again in one small message
	Unused         // has to be read or sent again
)

// Budget counts memory against a limit. It is safe for concurrent use.
type Budget struct {
	limit atomic.Int64 // bytes; 0 for no limit
	used  atomic.Int64
	kinds [NumKinds]atomic.Int64
	heap  heap

	mu      sync.Mutex // held while room is made
	holders []holder   // in order
}

type holder struct {
	order int
	Holder
}

// New makes a budget; a limit of 0 means no limit.
func New(limit int64) *Budget {
	a := &Budget{}
	a.limit.Store(limit)
	return a
}

// SetLimit changes the limit. What is held beyond it stays.
func (a *Budget) SetLimit(limit int64) { a.limit.Store(limit) }

// Limit is the maximum number of bytes, 0 for no limit.
func (a *Budget) Limit() int64 { return a.limit.Load() }

// Used is the number of bytes held.
func (a *Budget) Used() int64 { return a.used.Load() }

// Held is the number of bytes by kind. The sum equals Used when no call
// reserves or releases meanwhile.
func (a *Budget) Held() (held Amounts) {
	for k := range held {
		held[k] = a.kinds[k].Load()
	}
	return held
}

// Register adds a holder; remove removes it.
func (a *Budget) Register(order int, h Holder) (remove func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holders = append(a.holders, holder{order, h})
	slices.SortStableFunc(a.holders, func(x, y holder) int { return cmp.Compare(x.order, y.order) })
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.holders = slices.DeleteFunc(a.holders, func(x holder) bool { return x.Holder == h })
	}
}

// Reserve takes n bytes. purpose appears in the error, which is a
// [transport.MemoryError]. The caller holds no lock that a [Holder] takes.
func (a *Budget) Reserve(k Kind, n int64, purpose string) error {
	if n <= 0 {
		return nil
	}
	if !a.add(n) {
		if err := a.makeRoom(n, purpose); err != nil {
			return err
		}
	}
	a.count(k, n)
	return nil
}

// count records the kind of a reservation or release.
func (a *Budget) count(k Kind, n int64) {
	a.kinds[k].Add(n)
	if !k.onHeap() {
		a.heap.mapped(n)
	}
}

// ReserveAll takes all amounts or none.
func (a *Budget) ReserveAll(amounts Amounts, purpose string) error {
	n := amounts.Total()
	if n == 0 {
		return nil
	}
	if !a.add(n) {
		if err := a.makeRoom(n, purpose); err != nil {
			return err
		}
	}
	for k, v := range amounts {
		if v != 0 {
			a.count(Kind(k), v)
		}
	}
	return nil
}

// Release gives n bytes back.
func (a *Budget) Release(k Kind, n int64) {
	if n == 0 {
		return
	}
	if a.limit.Load() > 0 && k.onHeap() { // before the bytes are free
		a.heap.dropped(n)
	}
	a.count(k, -n)
	a.used.Add(-n)
}

// ReleaseAll gives all amounts back.
func (a *Budget) ReleaseAll(amounts Amounts) {
	for k, n := range amounts {
		a.Release(Kind(k), n)
	}
}

// add counts n more bytes if they are within the limit.
func (a *Budget) add(n int64) bool {
	if a.limit.Load() == 0 {
		a.used.Add(n)
		return true
	}
	for {
		used := a.used.Load()
		if n > a.limit.Load()-used-a.heap.owed() {
			return false
		}
		if a.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// rounds is how often room is made for a request before it is refused because
// others take the freed memory.
const rounds = 8

// makeRoom asks holders to give up memory for n bytes, if they have enough, and
// takes the n bytes.
func (a *Budget) makeRoom(n int64, purpose string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for round := 0; !a.add(n); round++ {
		free, idle := a.freeLocked()
		if n > free+idle || round == rounds {
			return &transport.MemoryError{Need: n, Free: free + idle, Limit: a.limit.Load(), For: purpose}
		}
		if owed := a.heap.owed(); owed > 0 && owed >= n-a.free() {
			a.heap.collect()
		}
		for _, h := range a.holders {
			if short := n - (a.limit.Load() - a.used.Load()); short > 0 {
				h.Reclaim(short)
			}
		}
		if n > a.free() && a.heap.owed() > 0 {
			a.heap.collect() // including what holders gave up
		}
	}
	return nil
}

// free is what may be taken at once.
func (a *Budget) free() int64 { return a.limit.Load() - a.used.Load() - a.heap.owed() }

// freeLocked is what is free, and what holders and the collector could give up.
func (a *Budget) freeLocked() (free, idle int64) {
	free = a.limit.Load() - a.used.Load()
	for _, h := range a.holders {
		idle += h.Idle()
	}
	return free, idle
}

// Check reports like Reserve whether n bytes could be taken now, but takes
// none.
func (a *Budget) Check(n int64, purpose string) error {
	if a.limit.Load() == 0 || n <= a.free() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if free, idle := a.freeLocked(); n > free+idle {
		return &transport.MemoryError{Need: n, Free: free + idle, Limit: a.limit.Load(), For: purpose}
	}
	return nil
}

// Reclaim asks all holders to give up what they can.
func (a *Budget) Reclaim() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.holders {
		if n := h.Idle(); n > 0 {
			h.Reclaim(n)
		}
	}
}
