package cuda

import "math/bits"

const (
	// leastPinned is the size of the smallest pieces of page-locked memory.
	leastPinned = 4 << 10
	// sparePinned bounds the page-locked memory that waits for its next use.
	sparePinned = 64 << 20
	// transferPiece is the size of the pieces in which a transfer goes through
	// page-locked memory, and halts between.
	transferPiece = 1 << 20
	// transfers is the number of transfers that hold page-locked memory at once.
	transfers = 8
)

// pinnedSize is the size of the piece for n bytes.
func pinnedSize(n int) int {
	return max(leastPinned, 1<<bits.Len(uint(max(n, 1)-1)))
}

// take takes a piece of at least n bytes. The caller has reserved it, or holds
// one of the turns.
func (s *staging) take(n int) (*pinned, error) {
	if err := s.d.usable(); err != nil {
		return nil, err
	}
	size := pinnedSize(n)
	if p := s.pick(size); p != nil {
		return p, nil
	}
	mem, err := s.d.ctx.AllocHost(size)
	if err != nil {
		return nil, s.d.check(err)
	}
	return &pinned{mem}, nil
}

func (s *staging) pick(size int) *pinned {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.spare[size]
	if len(list) == 0 {
		return nil
	}
	p := list[len(list)-1]
	s.spare[size] = list[:len(list)-1]
	s.idle -= size
	return p
}

// give takes a piece back. Nothing queued may use it.
func (s *staging) give(p *pinned) {
	if p != nil && s.d.usable() == nil && !s.keep(p) {
		_ = s.d.check(s.d.ctx.FreeHost(p.mem)) // the next call finds the context lost
	}
}

func (s *staging) keep(p *pinned) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle+len(p.mem) > sparePinned {
		return false
	}
	s.spare[len(p.mem)] = append(s.spare[len(p.mem)], p)
	s.idle += len(p.mem)
	return true
}
