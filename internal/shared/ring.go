package shared

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"
)

// The bounds of one ring, in bytes. Both are powers of two.
const (
	MinRing = 1 << 20
	MaxRing = 8 << 20
	// DefaultRing is the size where memory is not scarce.
	DefaultRing = 2 << 20
)

// The page before the rings.
const (
	headerBytes = 4096
	nonceBytes  = 32
	makerNonce  = 0
	takerNonce  = 64
	// takenAt is where the reader of the first ring says how much it has taken;
	// that of the second is takenStride behind it, in another cache line.
	takenAt     = 128
	takenStride = 128
)

var (
	// ErrUnavailable means that this machine or this peer gives no shared memory.
	ErrUnavailable = errors.New("genie: no shared memory")
	// ErrBroken means that a peer broke the rules of the memory: the connection
	// cannot continue.
	ErrBroken = errors.New("genie: shared memory is broken")
	// ErrClosed is the error of rings of closed memory.
	ErrClosed = errors.New("genie: shared memory is closed")
)

// Memory is one end of shared memory. Its writer and its reader are used by one
// goroutine at a time each, Close by any.
type Memory struct {
	ring int

	mu  sync.RWMutex // held for reading while the memory is accessed, never while anything waits
	mem []byte       // nil when closed

	w Writer
	r Reader
}

// Size is the length of memory with rings of n bytes.
func Size(n int) int64 { return headerBytes + 2*int64(n) }

// ringOf is the ring of memory of that length; 0 if there is none.
func ringOf(length int64) int {
	n := (length - headerBytes) / 2
	if n < MinRing || n > MaxRing || n&(n-1) != 0 || Size(int(n)) != length {
		return 0
	}
	return int(n)
}

// newMemory is an end of mem; the maker writes into the second ring.
func newMemory(mem []byte, ring int, maker bool) *Memory {
	m := &Memory{mem: mem, ring: ring}
	out, in := 0, 1
	if maker {
		out, in = 1, 0
	}
	m.w = Writer{m: m, at: headerBytes + out*ring, taken: takenAt + out*takenStride}
	m.r = Reader{m: m, at: headerBytes + in*ring, taken: takenAt + in*takenStride}
	return m
}

// Writer is this end's writer.
func (m *Memory) Writer() *Writer { return &m.w }

// Reader is this end's reader.
func (m *Memory) Reader() *Reader { return &m.r }

// Ring is how many bytes one ring holds.
func (m *Memory) Ring() int { return m.ring }

// Bytes is the size of the memory.
func (m *Memory) Bytes() int64 { return Size(m.ring) }

// Close unmaps the memory, once nothing reads or writes it. The system frees it
// when the other end has unmapped it too, or has ended.
func (m *Memory) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mem != nil {
		unmap(m.mem)
		m.mem = nil
	}
}

// counter is a number in the memory, which the peer may change at any time. It
// is called with the lock.
func (m *Memory) counter(at int) *atomic.Uint64 {
	return (*atomic.Uint64)(unsafe.Pointer(&m.mem[at]))
}

// Writer puts bytes into a ring.
type Writer struct {
	m         *Memory
	at, taken int
	put       uint64 // bytes put so far
}

// Room is how many bytes can be put now.
func (w *Writer) Room() (int, error) {
	w.m.mu.RLock()
	defer w.m.mu.RUnlock()
	if w.m.mem == nil {
		return 0, ErrClosed
	}
	taken := w.m.counter(w.taken).Load()
	if used := w.put - taken; taken <= w.put && used <= uint64(w.m.ring) {
		return w.m.ring - int(used), nil
	}
	return 0, fmt.Errorf("%w: the peer says that it took %d bytes of %d", ErrBroken, taken, w.put)
}

// Write puts b into the ring, for which there must be room.
func (w *Writer) Write(b []byte) error {
	w.m.mu.RLock()
	defer w.m.mu.RUnlock()
	if w.m.mem == nil {
		return ErrClosed
	}
	ring := w.m.mem[w.at : w.at+w.m.ring]
	for len(b) > 0 {
		n := copy(ring[w.put&uint64(w.m.ring-1):], b)
		w.put += uint64(n)
		b = b[n:]
	}
	return nil
}

// Reader takes bytes out of a ring. What the peer has announced is in it; a
// peer that announces what it did not put there gets its own bytes back.
type Reader struct {
	m         *Memory
	at, taken int
	got       uint64 // bytes taken so far
}

// Read copies the next len(b) bytes out, once each.
func (r *Reader) Read(b []byte) error {
	r.m.mu.RLock()
	defer r.m.mu.RUnlock()
	if r.m.mem == nil {
		return ErrClosed
	}
	ring := r.m.mem[r.at : r.at+r.m.ring]
	for len(b) > 0 {
		n := copy(b, ring[r.got&uint64(r.m.ring-1):])
		r.got += uint64(n)
		b = b[n:]
	}
	r.m.counter(r.taken).Store(r.got)
	return nil
}

// Skip takes n bytes without reading them.
func (r *Reader) Skip(n uint64) error {
	r.m.mu.RLock()
	defer r.m.mu.RUnlock()
	if r.m.mem == nil {
		return ErrClosed
	}
	r.got += n
	r.m.counter(r.taken).Store(r.got)
	return nil
}
