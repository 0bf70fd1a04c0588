package engine

import (
	"container/list"
	"slices"
	"sync"

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

	received, evicted int64
}

func newStore(total *budget.Budget) *store {
	return &store{budget: total, held: map[WeightKey]*weight{}, uses: map[WeightKey]int{}}
}

func (s *store) get(k WeightKey) *weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[k]
}

// use records that a session uses the weights of p. None of them is evicted
// until the matching call of leave.
func (s *store) use(p *Program) {
	for keys := range slices.Chunk(p.keys, keysAtOnce) {
		s.useKeys(keys)
	}
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

// leave records that a session no longer uses the weights of p.
func (s *store) leave(p *Program) {
	for keys := range slices.Chunk(p.keys, keysAtOnce) {
		s.leaveKeys(keys)
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

// weightStats is what a store has done and holds.
type weightStats struct{ held, received, evicted int64 }

func (s *store) stats() weightStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return weightStats{int64(len(s.held)), s.received, s.evicted}
}

// add stores w, whose memory is reserved, unless the store has the content
// already.
func (s *store) add(k WeightKey, w *weight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
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
		s.evicted++
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

// Missing lists the weights of a program that the engine does not hold in the
// layout that the program needs.
func (e *Engine) Missing(p *Program) []plan.Value {
	var out []plan.Value
	for _, id := range e.MissingIDs(p) {
		out = append(out, p.Plan().Values[id])
	}
	return out
}

// MissingIDs is the ids of the values that [Engine.Missing] lists.
func (e *Engine) MissingIDs(p *Program) []int {
	var out []int
	for i, k := range p.keys {
		if e.store.get(k) == nil {
			out = append(out, p.keyOf[i])
		}
	}
	return out
}

// Fits reports whether there is room for the weights of p that the engine does
// not hold, and for those of which absent is true; the error is a
// [transport.MemoryError].
func (e *Engine) Fits(p *Program, absent func(plan.Hash) bool) error {
	need := int64(0)
	for i, k := range p.keys {
		if e.store.get(k) == nil || absent != nil && absent(k.hash) {
			size, err := p.code.WeightSizes(p.keyOf[i])
			if err != nil {
				return err
			}
			need += size.Held + weightHead
		}
	}
	return e.budget.Check(need, "the weights of the plan")
}

// KeepTags makes the engine retain, beside each weight that is loaded from now
// on, the tag derived from nonce and its content.
func (e *Engine) KeepTags(nonce transport.PossessionKey) { e.possession.Store(&nonce) }

// PossessionTag is the tag of weight id of a program; nil when the engine does
// not hold the weight in the layout that the program needs, or retains no tags.
func (e *Engine) PossessionTag(p *Program, id int) *transport.PossessionTag {
	layout, ok := p.layout[id]
	if !ok {
		return nil
	}
	w := e.store.get(WeightKey{p.Plan().Values[id].Hash, layout})
	if w == nil {
		return nil
	}
	return w.tag
}
