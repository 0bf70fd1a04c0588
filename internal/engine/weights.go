package engine

import (
	"container/list"
	"sync"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/plan"
)

// WeightKey names content in one of the forms in which an engine holds it. It
// is comparable.
type WeightKey struct {
	hash   plan.Hash
	layout packing
}

// store holds weights by content and form. A weight that an open session has in
// one of its plans stays; the others go, the one that was used longest ago
// first, when their memory is needed.
type store struct {
	account *budget.Account
	memory  memory.Slabs
	fault   func(at string) // see [Engine.fault]

	mu   sync.Mutex
	held map[WeightKey]*weight // nil when closed
	// uses counts the sessions that use a weight, also while it is not held.
	uses map[WeightKey]int
	idle list.List // keys of weights that nobody uses, the longest unused first

	received, evicted int64
}

func newStore(account *budget.Account) *store {
	s := &store{account: account, held: map[WeightKey]*weight{}, uses: map[WeightKey]int{}}
	s.memory.Trim = account.Limit() > 0
	return s
}

func (s *store) get(k WeightKey) *weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[k]
}

// use says that a session uses the weights of p, of which none goes until as
// many calls of leave.
func (s *store) use(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range p.keys {
		s.uses[k]++
		if w := s.held[k]; w != nil && w.idle != nil {
			s.idle.Remove(w.idle)
			w.idle = nil
		}
	}
}

// leave says that a session uses the weights of p no more.
func (s *store) leave(p *Program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range p.keys {
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

// add keeps w, whose memory is reserved, unless the store has the content
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

// release gives the memory of w back.
func (s *store) release(w *weight) {
	s.memory.Free(w.data)
	s.account.Release(w.kind(), int64(len(w.data)))
	w.data = nil
}

// Idle implements [budget.Holder].
func (s *store) Idle() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := s.idle.Front(); e != nil; e = e.Next() {
		n += int64(len(s.held[e.Value.(WeightKey)].data))
	}
	return n
}

// Reclaim implements [budget.Holder]: weights that nobody uses go.
func (s *store) Reclaim(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n > 0 && s.idle.Len() > 0 {
		k := s.idle.Remove(s.idle.Front()).(WeightKey)
		w := s.held[k]
		delete(s.held, k)
		n -= int64(len(w.data))
		s.release(w)
		s.evicted++
	}
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.held {
		s.account.Release(w.kind(), int64(len(w.data)))
	}
	s.memory.Close()
	s.held = nil
	s.idle.Init()
}

// Missing lists the weights of a program that the engine does not hold in the
// form that the program needs.
func (e *Engine) Missing(p *Program) []plan.Value {
	var out []plan.Value
	seen := map[WeightKey]bool{}
	for v, l := range p.layout {
		k := WeightKey{p.plan.Values[v].Hash, l}
		if !seen[k] && e.store.get(k) == nil {
			seen[k] = true
			out = append(out, p.plan.Values[v])
		}
	}
	return out
}

// Fits reports whether there is room for the weights of p that the engine does
// not hold; the error is a [transport.MemoryError].
func (e *Engine) Fits(p *Program) error {
	need := int64(0)
	for i, k := range p.keys {
		if e.store.get(k) == nil {
			size, err := e.weightSize(p, p.keyOf[i])
			if err != nil {
				return err
			}
			need += size.held
		}
	}
	return e.account.Check(need, "the weights of the plan")
}
