package engine

import (
	"container/list"
	"sync"
	"sync/atomic"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// WeightKey names content in one of the layouts in which an engine stores it.
// It is comparable.
type WeightKey struct {
	hash   plan.Hash
	layout device.WeightLayout
	on     uint64 // number of the incarnation
}

// weight is content on the device.
type weight struct {
	on   device.Weight
	tag  *transport.PossessionTag // nil if not requested
	idle *list.Element            // under the store's lock: in the list of unused weights
}

// kind is what a weight's memory counts as.
func kind(packed bool) budget.Kind {
	if packed {
		return budget.Packed
	}
	return budget.Weights
}

// store holds weights by content and layout. A weight that an open session has
// in one of its plans stays; the others are evicted, least recently used first,
// when their memory is needed.
type store struct {
	budget *budget.Budget

	mu   sync.Mutex
	held map[WeightKey]*weight // nil when closed
	// uses counts the sessions that use a weight, also while it is not held.
	uses map[WeightKey]int
	idle list.List // keys of unused weights, the longest unused first

	counts *weightCounts
}

// weightCounts is what the stores of an engine have done.
type weightCounts struct{ received, evicted atomic.Int64 }

func newStore(total *budget.Budget, counts *weightCounts) *store {
	return &store{budget: total, held: map[WeightKey]*weight{}, uses: map[WeightKey]int{}, counts: counts}
}

func (s *store) get(k WeightKey) *weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[k]
}

// keysAtOnce is the number of weights examined under one lock: running sessions
// take it too.
const keysAtOnce = 1 << 10

func (s *store) useKeys(keys []WeightKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		s.uses[k]++
		if w := s.held[k]; w != nil && w.idle != nil {
			s.idle.Remove(w.idle)
			w.idle = nil
		}
	}
}

func (s *store) leaveKeys(keys []WeightKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range keys {
		if s.uses[k]--; s.uses[k] > 0 {
			continue
		}
		delete(s.uses, k)
		if w := s.held[k]; w != nil {
			w.idle = s.idle.PushBack(k)
		}
	}
}

// len is the number of weights.
func (s *store) len() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.held))
}

// add stores w, whose memory is reserved, unless the store has the content
// already.
func (s *store) add(k WeightKey, w *weight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.received.Add(1)
	if s.held == nil || s.held[k] != nil {
		s.release(w)
		return
	}
	s.held[k] = w
	if s.uses[k] == 0 {
		w.idle = s.idle.PushBack(k)
	}
}

// release releases the memory of w.
func (s *store) release(w *weight) {
	k, n := kind(w.on.Packed()), w.on.Bytes()
	w.on.Free()
	s.budget.Release(k, n)
	s.budget.Release(budget.Plans, weightHead)
}

// Idle implements [budget.Holder].
func (s *store) Idle() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.idle.Front(); e != nil; e = e.Next() {
		n += s.held[e.Value.(WeightKey)].on.Bytes() + weightHead
	}
	return n
}

// Reclaim implements [budget.Holder]: it evicts unused weights.
func (s *store) Reclaim(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > 0 && s.idle.Len() > 0 {
		k := s.idle.Remove(s.idle.Front()).(WeightKey)
		w := s.held[k]
		delete(s.held, k)
		n -= w.on.Bytes() + weightHead
		s.release(w)
		s.counts.evicted.Add(1)
	}
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.held {
		s.release(w)
	}
	s.held = nil
	s.idle.Init()
}

// hashes lists the content that the store holds.
func (s *store) hashes() []plan.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]plan.Hash, 0, len(s.held))
	for k := range s.held {
		out = append(out, k.hash)
	}
	return out
}
