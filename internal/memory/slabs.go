package memory

import (
	"cmp"
	"slices"
	"sync"
	"unsafe"
)

const (
	// slabBytes is the size of a slab. Large pages pay for matrices of every
	// size when many of them share a mapping.
	slabBytes = 64 << 20
	slabAlign = 64
)

// Slabs hands out pieces of large mappings, which the system can hold in large
// pages, and takes them back. The zero value is ready to use; it is safe for
// concurrent use.
type Slabs struct {
	mu   sync.Mutex
	all  []*slab
	size map[*byte]int // by first byte of a piece: the bytes that it takes
}

type slab struct {
	mem  []byte
	free []span // in order, never touching each other
}

type span struct{ at, n int }

// Alloc gives n bytes, at an address that is a multiple of 64. What they hold
// is not defined.
func (s *Slabs) Alloc(n int) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	need := (n + slabAlign - 1) / slabAlign * slabAlign
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		if at, ok := l.take(need); ok {
			return s.piece(l, at, n, need), nil
		}
	}
	mem, err := Map(max(slabBytes, need))
	if err != nil {
		return nil, err
	}
	l := &slab{mem: mem, free: []span{{0, len(mem)}}}
	s.all = append(s.all, l)
	at, _ := l.take(need)
	return s.piece(l, at, n, need), nil
}

func (s *Slabs) piece(l *slab, at, n, need int) []byte {
	if s.size == nil {
		s.size = map[*byte]int{}
	}
	b := l.mem[at : at+n : at+n]
	s.size[unsafe.SliceData(b)] = need
	return b
}

// take finds the first free span that is large enough.
func (l *slab) take(need int) (at int, ok bool) {
	for i := range l.free {
		f := &l.free[i]
		if f.n < need {
			continue
		}
		at = f.at
		if f.at, f.n = f.at+need, f.n-need; f.n == 0 {
			l.free = slices.Delete(l.free, i, i+1)
		}
		return at, true
	}
	return 0, false
}

// Free takes back what Alloc gave. A slab without pieces is unmapped.
func (s *Slabs) Free(b []byte) {
	if len(b) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	first := unsafe.SliceData(b)
	need := s.size[first]
	delete(s.size, first)
	for i, l := range s.all {
		at := int(uintptr(unsafe.Pointer(first)) - uintptr(unsafe.Pointer(unsafe.SliceData(l.mem))))
		if at < 0 || at >= len(l.mem) {
			continue
		}
		l.put(span{at, need})
		if l.free[0].n == len(l.mem) {
			s.all = slices.Delete(s.all, i, i+1)
			Unmap(l.mem)
		}
		return
	}
}

// put makes a span free and joins it with its neighbours.
func (l *slab) put(f span) {
	i, _ := slices.BinarySearchFunc(l.free, f, func(a, b span) int { return cmp.Compare(a.at, b.at) })
	l.free = slices.Insert(l.free, i, f)
	if i+1 < len(l.free) && l.free[i].at+l.free[i].n == l.free[i+1].at {
		l.free[i].n += l.free[i+1].n
		l.free = slices.Delete(l.free, i+1, i+2)
	}
	if i > 0 && l.free[i-1].at+l.free[i-1].n == l.free[i].at {
		l.free[i-1].n += l.free[i].n
		l.free = slices.Delete(l.free, i, i+1)
	}
}

// Close unmaps everything.
func (s *Slabs) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		Unmap(l.mem)
	}
	s.all, s.size = nil, nil
}
