package remote

import (
	"sync"
	"weak"

	"github.com/genie-sdk/go/transport/plan"
)

const maxHashes = 1024

// hashes caches the hashes of plans.
type hashes struct {
	mu sync.Mutex
	of map[weak.Pointer[plan.Plan]]plan.Hash
}

// hash is p's hash, computed once per plan.
func (s *hashes) hash(p *plan.Plan) plan.Hash {
	key := weak.Make(p)
	s.mu.Lock()
	h, ok := s.of[key]
	s.mu.Unlock()
	if ok {
		return h
	}
	h = p.Hash()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil || len(s.of) >= maxHashes {
		s.of = map[weak.Pointer[plan.Plan]]plan.Hash{}
	}
	s.of[key] = h
	return h
}
