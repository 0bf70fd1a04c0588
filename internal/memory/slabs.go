package memory

import (
	"cmp"
	"slices"
	"sync"
	"unsafe"
)

const (
	// slabBytes is the size of a slab. Huge pages pay off for matrices of every
	// size when many of them share a mapping.
	slabBytes = 64 << 20
	slabAlign = 64
)

// Slabs hands out pieces of large mappings, which the system can keep in huge
// pages, and takes them back. The zero value is ready to use. It is safe for
// concurrent use.
type Slabs struct {
	// Trim returns the pages of freed pieces to the system at once, instead of
	// retaining them for the next piece. Set it before the first use.
	Trim bool

	mu   sync.Mutex
	all  []*slab
	size map[*byte]int // by first byte of a piece: its size in bytes
}

type slab struct {
	mem  []byte
	free []span // in order, never adjacent
	used int    // bytes beyond were never handed out and are zero
}

type span struct{ at, n int }

// Alloc returns n bytes, at an address that is a multiple of 64. Their content
// is undefined.
func (s *Slabs) Alloc(n int) ([]byte, error) {
	b, _, err := s.alloc(n)
	return b, err
}

// AllocZero returns n bytes of zeros.
func (s *Slabs) AllocZero(n int) ([]byte, error) {
	b, used, err := s.AllocUsed(n)
	clear(b[:used])
	return b, err
}

// AllocUsed returns n bytes, all zeros except the first used ones, which may
// not be.
func (s *Slabs) AllocUsed(n int) (b []byte, used int, err error) {
	b, used, err = s.alloc(n)
	return b, min(used, n), err
}

// alloc also returns how many of the bytes, from the first on, may not be zero.
func (s *Slabs) alloc(n int) (b []byte, used int, err error) {
	if n == 0 {
		return nil, 0, nil
	}
	need := (n + slabAlign - 1) / slabAlign * slabAlign
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.all {
		if at, ok := l.take(need); ok {
			b, used = s.piece(l, at, n, need)
			return b, used, nil
		}
	}
	mem, err := Map(max(slabBytes, need))
	if err != nil {
		return nil, 0, err
	}
	l := &slab{mem: mem, free: []span{{0, len(mem)}}}
	s.all = append(s.all, l)
	at, _ := l.take(need)
	b, used = s.piece(l, at, n, need)
	return b, used, nil
}

func (s *Slabs) piece(l *slab, at, n, need int) (b []byte, used int) {
	if s.size == nil {
		s.size = map[*byte]int{}
	}
	b = l.mem[at : at+n : at+n]
	s.size[unsafe.SliceData(b)] = need
	used = max(0, l.used-at)
	l.used = max(l.used, at+need)
	return b, used
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

// Free takes back a piece. It unmaps a slab without pieces, unless that is the
// only one.
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
		if s.Trim {
			Forget(l.mem[at : at+need])
		}
		if l.idle() && slices.ContainsFunc(s.all, func(o *slab) bool { return o != l && o.idle() }) {
			s.all = slices.Delete(s.all, i, i+1)
			Unmap(l.mem)
		}
		return
	}
}

// idle reports whether all of a slab is free.
func (l *slab) idle() bool { return len(l.free) == 1 && l.free[0].n == len(l.mem) }

// put frees a span and joins it with its neighbours.
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
