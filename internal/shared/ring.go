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
	// errUnavailable means that this machine or this peer gives no shared memory.
	errUnavailable = errors.New("genie: no shared memory")
	// errBroken means that a peer broke the rules of the memory: the connection
	// cannot continue.
	errBroken = errors.New("genie: shared memory is broken")
	// errClosed is the error of rings of closed memory.
	errClosed = errors.New("genie: shared memory is closed")
)

// Memory is one end of shared memory. One goroutine at a time writes (Room, Write),
// one reads (Read, Skip), and any may Close.
type Memory struct {
	ring int

	mu  sync.RWMutex // held for reading while the memory is accessed, never while anything waits
	mem []byte       // nil when closed

	out, in  int    // where the rings begin that this end writes and reads
	outTaken int    // where the peer says how much it has taken
	inTaken  int    // where this end says it
	put, got uint64 // bytes written and read so far
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
	out, in := 0, 1
	if maker {
		out, in = 1, 0
	}
	return &Memory{
		mem: mem, ring: ring,
		out: headerBytes + out*ring, outTaken: takenAt + out*takenStride,
		in: headerBytes + in*ring, inTaken: takenAt + in*takenStride,
	}
}

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

// Room is how many bytes can be written now.
func (m *Memory) Room() (int, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil {
		return 0, errClosed
	}
	taken := m.counter(m.outTaken).Load()
	if used := m.put - taken; taken <= m.put && used <= uint64(m.ring) {
		return m.ring - int(used), nil
	}
	return 0, fmt.Errorf("%w: the peer says that it took %d bytes of %d", errBroken, taken, m.put)
}

// Write puts b into the ring to the peer, where there must be room.
func (m *Memory) Write(b []byte) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil {
		return errClosed
	}
	ring := m.mem[m.out : m.out+m.ring]
	for len(b) > 0 {
		n := copy(ring[m.put&uint64(m.ring-1):], b)
		m.put += uint64(n)
		b = b[n:]
	}
	return nil
}

// Read copies the next len(b) bytes out of the ring from the peer, once each. What
// the peer has announced is in it; a peer that announces what it did not put there
// is given its own earlier bytes.
func (m *Memory) Read(b []byte) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil {
		return errClosed
	}
	ring := m.mem[m.in : m.in+m.ring]
	for len(b) > 0 {
		n := copy(b, ring[m.got&uint64(m.ring-1):])
		m.got += uint64(n)
		b = b[n:]
	}
	m.counter(m.inTaken).Store(m.got)
	return nil
}

// Skip takes n bytes without reading them.
func (m *Memory) Skip(n uint64) error {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.mem == nil {
		return errClosed
	}
	m.got += n
	m.counter(m.inTaken).Store(m.got)
	return nil
}
