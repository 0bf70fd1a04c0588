package engine

import (
	"sync"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport/plan"
)

type weightKey struct {
	hash   plan.Hash
	layout packing
}

// store holds weights by content and form.
type store struct {
	mu       sync.Mutex
	held     map[weightKey]*weight
	memory   memory.Slabs
	bytes    int64
	received int64
}

func newStore() *store { return &store{held: map[weightKey]*weight{}} }

func (s *store) get(k weightKey) *weight {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held[k]
}

func (s *store) stats() (n, bytes, received int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.held)), s.bytes, s.received
}

// add keeps w unless the store has the content already.
func (s *store) add(k weightKey, w *weight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.received++
	if s.held == nil || s.held[k] != nil {
		s.memory.Free(w.data)
		return
	}
	s.held[k] = w
	s.bytes += int64(len(w.data))
}

func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory.Close()
	s.held, s.bytes = nil, 0
}

// Missing lists the weights of a program that the engine does not hold in the
// form that the program needs.
func (e *Engine) Missing(p *Program) []plan.Value {
	var out []plan.Value
	seen := map[weightKey]bool{}
	for v, l := range p.layout {
		k := weightKey{p.plan.Values[v].Hash, l}
		if !seen[k] && e.store.get(k) == nil {
			seen[k] = true
			out = append(out, p.plan.Values[v])
		}
	}
	return out
}
