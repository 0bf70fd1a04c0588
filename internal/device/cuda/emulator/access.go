package emulator

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// access is where a load, a store or an atomic operation accesses memory.
type access struct {
	space   space
	wide    bool  // the address is in a register of 64 bits
	address int32 // that register, or -1
	offset  uint64
	bytes   uint64 // in all
	element uint64 // bytes of each register's part
	signed  bool
	used    uint64 // the bytes of a load that are used: all if 0
	relaxed bool   // volatile or relaxed: no race with atomic operations
}

// space is a state space.
type space uint8

const (
	generic space = iota
	global
	shared
	local
	param
)

// usage is what an access does with memory.
type usage uint8

const (
	reads usage = iota
	writes
	updates // atomically
)

// address is where a lane accesses memory, in its space.
func (w *warp) address(m *access, lane int) uint64 {
	switch {
	case m.address < 0:
		return m.offset
	case m.wide:
		return w.r64[m.address][lane] + m.offset
	}
	return uint64(w.r32[m.address][lane]) + m.offset
}

// memory finds the bytes that a lane accesses, and checks the access but for
// what is known of the words. It is nil, and the warp has failed, if there are
// none.
func (w *warp) memory(in *instruction, lane int, address uint64, m *access) (r *region, offset uint64) {
	n := m.bytes
	space := m.space
	if space == generic {
		space = global
		switch address >> windowBits {
		case paramWindow >> windowBits:
			space = param
		case sharedWindow >> windowBits:
			space = shared
		case localWindow >> windowBits:
			space = local
		}
	}
	const within = 1<<windowBits - 1
	switch space {
	case shared:
		r, offset = &w.b.shared, address&within
	case local:
		r, offset = &w.local, address&within
		if size := uint64(w.b.k.local); offset > size || n > size-offset {
			w.outside(in, lane, address, m, nil)
			return nil, 0
		}
		offset += uint64(lane * w.b.k.local)
	case param:
		r, offset = &w.b.launch.params, address&within
	default:
		if r = w.b.region; r == nil || address-r.base >= r.size {
			if r = w.b.launch.heap.find(address); r == nil {
				w.outside(in, lane, address, m, nil)
				return nil, 0
			}
			w.b.region = r
		}
		offset = address - r.base
	}
	if size := uint64(len(r.data)); offset > size || n > size-offset {
		w.outside(in, lane, address, m, r)
		return nil, 0
	}
	if address&(n-1) != 0 && m.element != 0 {
		w.fail(in, 1<<lane, MisalignedAddress, fmt.Sprintf("address %#x is not aligned to %d bytes", address, n))
		return nil, 0
	}
	return r, offset
}

// outside fails a warp whose lane accesses what is no memory.
func (w *warp) outside(in *instruction, lane int, address uint64, m *access, r *region) {
	detail := fmt.Sprintf("%d bytes at %#x are in no memory", m.bytes, address)
	switch {
	case r == nil:
	case r.data == nil && r.size > 0:
		detail = fmt.Sprintf("%d bytes at %#x are in %s, which was freed", m.bytes, address, r)
	default:
		detail = fmt.Sprintf("%d bytes at %#x are outside %s: offset %d", m.bytes, address, r, int64(address-r.base))
	}
	w.fail(in, 1<<lane, IllegalAddress, detail)
}

func (r *region) String() string {
	if r.private {
		return fmt.Sprintf("the %d bytes of %s", r.size, r.name)
	}
	return fmt.Sprintf("%s of %d bytes at %#x", r.name, r.size, r.base)
}

// hold locks the page of an offset, in place of the one that is held.
func (w *warp) hold(r *region, offset uint64) *page {
	if len(r.pages) == 0 {
		return nil
	}
	i := offset / pageBytes
	if r.private {
		return r.page(i)
	}
	if w.held != nil {
		if w.holds == i && w.of == r {
			return w.held
		}
		w.held.mu.Unlock()
		w.held = nil
	}
	w.held, w.holds, w.of = r.page(i), i, r
	return w.held
}

// release unlocks the page that is held.
func (w *warp) release() {
	if w.held != nil {
		w.held.mu.Unlock()
		w.held = nil
	}
}

// check checks one lane's access against what is known of the words of its page,
// and records it. The new bytes of a write are in value.
func (w *warp) check(in *instruction, lane int, r *region, p *page, offset uint64, m *access, use usage, value []byte) bool {
	me := w.me | uint64(lane)<<threadShift
	if use == reads && m.used == 0 && m.bytes >= 4 && !m.relaxed && r != &w.local {
		word := offset % pageBytes / 4
		if w.b.agent.readWords(p, uint32(word), uint32(m.bytes/4), me) {
			return true
		}
	} else if use == writes && m.bytes >= 4 && !m.relaxed && r != &w.local {
		word := offset % pageBytes / 4
		if w.b.agent.writeWords(p, uint32(word), uint32(m.bytes/4), me) {
			return true
		}
	}
	if use == updates || m.relaxed {
		w.b.agent.acquired = w.b.agent.acquired || !r.private
		if use != reads {
			me |= atomicWrite
		}
	}
	for at, end := offset, offset+m.bytes; at < end; {
		word := uint32(at % pageBytes / 4)
		n := min(end-at, 4-at%4)
		mask := uint8(1<<n-1) << (at % 4)
		done := at - offset
		if m.used != 0 {
			mask &= uint8(m.used>>done&(1<<n-1)) << (at % 4)
		}
		flags := p.flags[word]
		if flags&arriving != 0 && mask != 0 {
			w.fail(in, 1<<lane, DataRace, fmt.Sprintf("a copy of cp.async is under way to offset %d of %s: nothing waited for it", at, r))
			return false
		}
		if use != writes && flags&mask != mask {
			w.unwritten(in, lane, r, at, m)
			return false
		}
		if use != reads {
			p.flags[word] |= mask
		}
		if mask != 0 && r != &w.local {
			same := use == writes && flags&mask == mask && string(value[done:done+n]) == string(r.data[at:at+n])
			var race, withRead bool
			switch {
			case mask != 15 || flags&split != 0:
				race, withRead = w.checkBytes(p, r, word, mask, me, use, same)
			case use == reads:
				race = w.b.agent.read(&p.cells[word], me, r.private) && !m.relaxedWith(p.cells[word].w)
			default:
				race, withRead = w.b.agent.write(&p.cells[word], me, r.private, same)
			}
			if race {
				w.raced(in, lane, r, at, &p.cells[word], use, withRead)
				return false
			}
		}
		at += n
	}
	return true
}

// relaxedWith reports whether a load is relaxed and a write atomic: they do not
// race.
func (m *access) relaxedWith(write uint64) bool { return m.relaxed && write&atomicWrite != 0 }

// checkBytes checks a word of which bytes are accessed alone.
func (w *warp) checkBytes(p *page, r *region, word uint32, mask uint8, me uint64, use usage, same bool) (race, withRead bool) {
	cells := p.divide(word)
	for i := range cells {
		if mask>>i&1 == 0 || race {
			continue
		}
		if use == reads {
			race = w.b.agent.read(&cells[i], me, r.private)
		} else {
			race, withRead = w.b.agent.write(&cells[i], me, r.private, same)
		}
		if race {
			p.cells[word] = cells[i]
		}
	}
	return race, withRead
}

func (w *warp) unwritten(in *instruction, lane int, r *region, offset uint64, m *access) {
	w.fail(in, 1<<lane, UnwrittenRead, fmt.Sprintf("%d bytes were never written at offset %d of %s", m.bytes, offset, r))
}

func (w *warp) raced(in *instruction, lane int, r *region, offset uint64, c *cell, use usage, withRead bool) {
	other, did := c.w, "wrote"
	if withRead {
		other, did = c.r, "read"
	}
	what := "reads"
	if use != reads {
		what = "writes"
	}
	w.fail(in, 1<<lane, DataRace, fmt.Sprintf("it %s offset %d of %s, which %s %s, and nothing orders the two", what, offset, r, w.b.who(other), did))
}

// who names what an identity stands for.
func (b *block) who(identity uint64) string {
	id := uint32(identity >> idShift)
	thread := b.thread(int(identity >> threadShift & (1<<10 - 1)))
	switch i := id - b.agent.op.first; {
	case id == b.agent.id:
		return "thread " + thread + " of the block"
	case i < b.agent.op.count:
		g := b.launch.grid
		n := int(i)
		return fmt.Sprintf("thread %s of block (%d,%d,%d)", thread, n%g.X, n/g.X%g.Y, n/g.X/g.Y)
	}
	return "work of another stream"
}

// get reads n bytes as a number, and put writes it.
func get(b []byte, n uint64) uint64 {
	switch n {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func put(b []byte, n, x uint64) {
	switch n {
	case 1:
		b[0] = byte(x)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(x))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(x))
	default:
		binary.LittleEndian.PutUint64(b, x)
	}
}

// load is the exec of ld.
func load(w *warp, in *instruction, mask uint32) {
	m := in.mem
	if m.space == param && m.address < 0 {
		w.loadUniform(in, mask)
		return
	}
	for left := mask; left != 0; left &= left - 1 {
		lane := bits.TrailingZeros32(left) & 31
		r, at := w.memory(in, lane, w.address(m, lane), m)
		if r == nil {
			break
		}
		if p := w.hold(r, at); p != nil && !w.check(in, lane, r, p, at, m, reads, nil) {
			break
		}
		for _, s := range in.vector {
			x := get(r.data[at:], m.element)
			at += m.element
			if m.signed {
				shift := 64 - 8*m.element
				x = uint64(int64(x<<shift) >> shift)
			}
			w.set(s, lane, x)
		}
	}
	w.release()
}

// loadUniform loads a parameter at a fixed address: it is the same in all lanes.
func (w *warp) loadUniform(in *instruction, mask uint32) {
	m := in.mem
	r, at := w.memory(in, bits.TrailingZeros32(mask)&31, m.offset, m)
	if r == nil {
		return
	}
	for _, s := range in.vector {
		x := get(r.data[at:], m.element)
		at += m.element
		if m.signed {
			shift := 64 - 8*m.element
			x = uint64(int64(x<<shift) >> shift)
		}
		for left := mask; left != 0; left &= left - 1 {
			w.set(s, bits.TrailingZeros32(left)&31, x)
		}
	}
}

// set sets a register of a lane.
func (w *warp) set(s slot, lane int, x uint64) {
	if s.file == file64 {
		w.r64[s.at][lane] = x
		return
	}
	if s.width < 4 {
		x &= 0xffff
	}
	w.r32[s.at][lane] = uint32(x)
}

// value is a register of a lane.
func (w *warp) value(s slot, lane int) uint64 {
	if s.file == file64 {
		return w.r64[s.at][lane]
	}
	return uint64(w.r32[s.at][lane])
}

// store is the exec of st.
func store(w *warp, in *instruction, mask uint32) {
	m := in.mem
	var value [32]byte
	for left := mask; left != 0; left &= left - 1 {
		lane := bits.TrailingZeros32(left) & 31
		r, at := w.memory(in, lane, w.address(m, lane), m)
		if r == nil {
			break
		}
		for i, s := range in.vector {
			put(value[uint64(i)*m.element:], m.element, w.value(s, lane))
		}
		if p := w.hold(r, at); p != nil && !w.check(in, lane, r, p, at, m, writes, value[:]) {
			break
		}
		copy(r.data[at:at+m.bytes], value[:])
	}
	w.release()
}
