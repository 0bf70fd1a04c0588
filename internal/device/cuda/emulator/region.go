package emulator

import "sync"

// Memory is checked by pages of 4 KiB and by words of 4 bytes.
const (
	pageBytes = 4096
	pageWords = pageBytes / 4
)

// region is an allocation of device memory, or the memory of a block or a warp.
type region struct {
	base    uint64
	size    uint64
	data    []byte // nil once it is freed
	pages   []*page
	mu      sync.Mutex // guards pages while blocks run
	name    string
	private bool // no other goroutine uses it
	rewrite bool // something was written since forget
	module  bool // it is a variable of a module
}

// page is what is known of the words of 4 KiB of memory.
type page struct {
	mu      sync.Mutex
	private bool
	flags   [pageWords]uint8 // the bytes that were written, and split
	cells   [pageWords]cell
	bytes   map[uint32]*[4]cell // of words that are split
}

// split marks a word whose bytes have cells of their own.
const split = 1 << 4

// arriving marks a word to which cp.async copies.
const arriving = 1 << 5

// cell is who last wrote and read a word: identities of accesses, 0 if none.
type cell struct{ w, r uint64 }

// divide is the cells of the bytes of a word.
func (p *page) divide(word uint32) *[4]cell {
	if p.flags[word]&split == 0 {
		p.flags[word] |= split
		if p.bytes == nil {
			p.bytes = map[uint32]*[4]cell{}
		}
		c := p.cells[word]
		p.bytes[word] = &[4]cell{c, c, c, c}
	}
	return p.bytes[word]
}

// resize makes a private region of n bytes, in the same memory if it has them.
func (r *region) resize(name string, n int, shadow bool) {
	r.name, r.private, r.size = name, true, uint64(n)
	if cap(r.data) < n {
		r.data = make([]byte, n)
	}
	r.data = r.data[:n]
	r.pages = r.pages[:0]
	if shadow {
		count := (n + pageBytes - 1) / pageBytes
		if cap(r.pages) < count {
			r.pages = append(r.pages[:cap(r.pages)], make([]*page, count-cap(r.pages))...)
		}
		r.pages = r.pages[:count]
		r.rewrite = true
	}
}

// forget makes all of a private region unwritten.
func (r *region) forget() {
	if !r.rewrite {
		return
	}
	for _, p := range r.pages {
		if p != nil {
			clear(p.flags[:])
			clear(p.bytes)
		}
	}
	r.rewrite = false
}

// page is page i, which the caller unlocks if the region is not private.
func (r *region) page(i uint64) *page {
	if r.private {
		if r.pages[i] == nil {
			r.pages[i] = &page{private: true}
		}
		r.rewrite = true
		return r.pages[i]
	}
	p := r.find(i)
	p.mu.Lock()
	return p
}

// writeAll makes all of a region written.
func (r *region) writeAll() {
	for i := range r.pages {
		p := &page{}
		for at := range p.flags {
			p.flags[at] = 15
		}
		r.pages[i] = p
	}
}

// find is page i of a region that other goroutines use.
func (r *region) find(i uint64) *page {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.pages[i]
	if p == nil {
		p = &page{}
		r.pages[i] = p
	}
	return p
}

// The addresses of allocations are far apart: each has a segment of its own, so
// an access beyond one is never in another.
const (
	segmentBits  = 32
	firstSegment = 0x7f00
	// segmentStart is where an allocation begins in its segment. Allocations are
	// aligned to 256 bytes and no more.
	segmentStart = 0x1000_0100
)

// heap is the device memory of a context.
type heap struct {
	mu       sync.RWMutex
	segments []*region // by segment; never removed, so that a use after a free is named
	used     int64
}

// find is the allocation at an address, or nil.
func (h *heap) find(address uint64) *region {
	i := address>>segmentBits - firstSegment
	h.mu.RLock()
	defer h.mu.RUnlock()
	if i >= uint64(len(h.segments)) {
		return nil
	}
	return h.segments[i]
}

// add adds an allocation of n bytes.
func (h *heap) add(n int64, name string, shadow bool) *region {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := &region{size: uint64(n), data: make([]byte, n), name: name}
	if shadow {
		r.pages = make([]*page, (n+pageBytes-1)/pageBytes)
	}
	r.base = (firstSegment+uint64(len(h.segments)))<<segmentBits + segmentStart
	h.segments = append(h.segments, r)
	h.used += n
	return r
}

// remove frees the allocation at an address, and is its size.
func (h *heap) remove(address uint64) (int64, bool) {
	r := h.find(address)
	if r == nil || r.base != address || r.module {
		return 0, false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.data == nil {
		return 0, false
	}
	r.data, r.pages = nil, nil
	h.used -= int64(r.size)
	return int64(r.size), true
}

// clear frees everything, and is how much that was.
func (h *heap) clear() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.used
	h.used, h.segments = 0, nil
	return n
}
