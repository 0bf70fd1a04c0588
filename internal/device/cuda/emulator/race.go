package emulator

import (
	"slices"
	"sync"
	"sync/atomic"
)

// An access in a cell is identified by what did it:
//
//	bits 34..63 the block of a launch, or the copy: unique in the context
//	bits 22..33 the interval between two barriers of the block
//	bits 12..21 the interval between two bar.warp.sync of the warp
//	bits 2..11  the thread
//	bits 0..1   for a write, whether it was atomic; for a read, who else read
const (
	idShift       = 34
	intervalShift = 22
	syncShift     = 12
	threadShift   = 2
	warpShift     = threadShift + 5

	maxIDs       = 1 << 30
	maxIntervals = 1 << 12
	maxSyncs     = 1 << 10

	atomicWrite = 1

	oneReader   = 0
	warpReaders = 1 // threads of one warp
	manyReaders = 2 // threads of one block
	gridReaders = 3 // threads of one launch
)

// identify computes the identity of the warp's accesses.
func (w *warp) identify() {
	b := w.b
	w.me = uint64(b.agent.id)<<idShift | b.interval<<intervalShift | w.syncs<<syncShift | uint64(w.index)<<warpShift
}

// agent is a block or a copy as what accesses memory.
type agent struct {
	op       *operation
	id       uint32
	ordered  uint32 // the last id found to be ordered before this one
	acquired bool   // the block did an atomic access
	former   []uint32
}

// operation is a launch or a copy in the history of a context.
type operation struct {
	history *history
	first   uint32 // of the ids of its blocks
	count   uint32
	clock   clock // what is ordered before it
	fences  []atomic.Uint32
}

// begin makes the agent block i of a launch.
func (a *agent) begin(l *launch, i uint32) {
	a.op, a.id, a.ordered, a.acquired, a.former = &l.operation, l.first+i, 0, false, a.former[:0]
}

// renew takes a new id for a block that has passed as many barriers as an
// identity can count.
func (a *agent) renew(l *launch) {
	a.former = append(a.former, a.id)
	a.id = l.history.extend(&l.operation)
}

// clash reports whether nothing orders an earlier access before one of the agent
// by another id.
func (a *agent) clash(old uint64) bool {
	id := uint32(old >> idShift)
	if id == a.ordered {
		return false
	}
	if slices.Contains(a.former, id) {
		return false
	}
	op := a.op
	if i := id - op.first; i < op.count {
		if op.fences == nil || !a.acquired {
			return true
		}
		// The other block made its writes visible, and this one has since met
		// others in an atomic access.
		fenced := op.fences[i].Load()
		return fenced == 0 || uint64(fenced-1) < old>>intervalShift&(maxIntervals-1)
	}
	if op.history.before(id, op.clock) {
		a.ordered = id
		return false
	}
	return true
}

// apart reports whether nothing orders an access before one of this identity.
// Both ids are not 0. In private memory another id is an earlier block's.
func (a *agent) apart(old, me uint64, private bool) bool {
	if old>>intervalShift == me>>intervalShift {
		switch {
		case old>>threadShift&(1<<10-1) == me>>threadShift&(1<<10-1):
			return false
		case old>>warpShift&31 == me>>warpShift&31:
			return old>>syncShift&(maxSyncs-1) == me>>syncShift&(maxSyncs-1)
		}
		return true
	}
	if old>>idShift == me>>idShift || private {
		return false
	}
	return a.clash(old)
}

// readWords records a read of n whole words, of which none is split. It reports
// false if anything is wrong; it may have recorded some then.
func (a *agent) readWords(p *page, word, n uint32, me uint64) bool {
	flags, cells := p.flags[word:word+n], p.cells[word:word+n]
	for i := range flags {
		if flags[i] != 15 {
			return false
		}
		c := &cells[i]
		w, r := c.w, c.r
		switch {
		case w>>threadShift == me>>threadShift:
		case w == 0 || p.private && w>>intervalShift != me>>intervalShift || !p.private && uint32(w>>idShift) == a.ordered:
		default:
			if a.read(c, me, p.private) {
				return false
			}
			continue
		}
		switch {
		case r == 0 || p.private && r>>intervalShift != me>>intervalShift:
			c.r = me
		case r>>intervalShift == me>>intervalShift && r&3 >= manyReaders:
		case !p.private && r&3 == gridReaders && uint32(r>>idShift)-a.op.first < a.op.count:
		default:
			a.read(c, me, p.private)
		}
	}
	return true
}

// writeWords is readWords for writes.
func (a *agent) writeWords(p *page, word, n uint32, me uint64) bool {
	flags, cells := p.flags[word:word+n], p.cells[word:word+n]
	for i := range flags {
		if flags[i]&(split|arriving) != 0 {
			return false
		}
		c := &cells[i]
		switch {
		case c.w|c.r == 0:
			c.w = me
		case p.private && c.w>>intervalShift != me>>intervalShift && c.r>>intervalShift != me>>intervalShift:
			c.w = me
		default:
			if race, _ := a.write(c, me, p.private, false); race {
				return false
			}
		}
		flags[i] |= 15
	}
	return true
}

// read records a read in a cell, and reports whether it races with a write.
func (a *agent) read(c *cell, me uint64, private bool) bool {
	if c.w != 0 && c.w>>threadShift != me>>threadShift && a.apart(c.w, me, private) {
		return true
	}
	r := c.r
	switch {
	case r>>threadShift == me>>threadShift && r&3 == oneReader || r == 0:
		c.r = me
	case r>>intervalShift == me>>intervalShift:
		switch {
		case r&3 >= manyReaders:
		case r>>warpShift&31 != me>>warpShift&31:
			c.r = r&^3 | manyReaders
		case r>>threadShift&31 == me>>threadShift&31 && r&3 == oneReader:
			c.r = me
		default:
			c.r = me | warpReaders
		}
	case r>>idShift != me>>idShift && !private && uint32(r>>idShift)-a.op.first < a.op.count:
		if r&3 != gridReaders {
			c.r = me&^3 | gridReaders
		}
	case r&3 == gridReaders && r>>idShift == me>>idShift:
	default:
		c.r = me
	}
	return false
}

// write records a write in a cell, and reports whether it races with a read or
// another write. A write of the same value, same, is no race with a write.
func (a *agent) write(c *cell, me uint64, private, same bool) (race, withRead bool) {
	if w := c.w; w != 0 && w>>threadShift != me>>threadShift && !same && w&me&atomicWrite == 0 && a.apart(w, me, private) {
		return true, false
	}
	if r := c.r; r != 0 && r != me&^3 {
		var clash bool
		switch kind := r & 3; {
		case r>>intervalShift == me>>intervalShift && kind == manyReaders:
			clash = true
		case r>>intervalShift == me>>intervalShift && kind == warpReaders:
			clash = r>>warpShift&31 != me>>warpShift&31 || r>>syncShift&(maxSyncs-1) == me>>syncShift&(maxSyncs-1)
		case kind == gridReaders && !private && uint32(r>>idShift)-a.op.first < a.op.count:
			clash = a.op.fences == nil || !a.acquired
		default:
			clash = a.apart(r, me, private)
		}
		if clash {
			return true, true
		}
	}
	c.w = me
	return false, false
}

// clock is, of each stream, how many operations are ordered before.
type clock []uint32

// join adds what is ordered before other.
func (c *clock) join(other clock) {
	for len(*c) < len(other) {
		*c = append(*c, 0)
	}
	for i, n := range other {
		(*c)[i] = max((*c)[i], n)
	}
}

// history is the operations of a context by their ids.
type history struct {
	mu     sync.RWMutex
	ranges []span
	next   uint32
}

// span is the ids of one operation: the n-th of a stream.
type span struct {
	first  uint32
	stream int32
	n      uint32
}

// keptSpans bounds the history: older operations count as ordered.
const keptSpans = 1 << 16

// begin takes count ids for the n-th operation of a stream, or reports false if
// there are none left.
func (h *history) begin(op *operation, count, stream int, n uint32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next == 0 {
		h.next = 1
	}
	if count >= maxIDs-int(h.next) {
		return false
	}
	op.history, op.first, op.count = h, h.next, uint32(count)
	h.next += uint32(count)
	if len(h.ranges) >= keptSpans {
		h.ranges = append(h.ranges[:0], h.ranges[keptSpans/2:]...)
	}
	h.ranges = append(h.ranges, span{op.first, int32(stream), n})
	return true
}

// extend takes one more id for a block of an operation. It stays the first of
// all if there is none left: then accesses count as ordered.
func (h *history) extend(op *operation) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.next >= maxIDs-1 {
		return op.first
	}
	id := h.next
	h.next++
	of, _ := h.at(op.first)
	h.ranges = append(h.ranges, span{id, of.stream, of.n})
	return id
}

// at is the operation of an id.
func (h *history) at(id uint32) (span, bool) {
	low, high := 0, len(h.ranges)
	for low < high {
		if mid := (low + high) / 2; h.ranges[mid].first <= id {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low == 0 {
		return span{}, false
	}
	return h.ranges[low-1], true
}

// before reports whether the operation of an id is ordered before what has the
// clock.
func (h *history) before(id uint32, c clock) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	s, ok := h.at(id)
	return !ok || int(s.stream) < len(c) && c[s.stream] >= s.n
}
