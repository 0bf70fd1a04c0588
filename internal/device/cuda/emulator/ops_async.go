package emulator

import (
	"fmt"
	"math/bits"
)

// asyncGroup is the copies of cp.async between two commits.
type asyncGroup struct {
	copies []asyncCopy
	open   bool // it was not committed
}

// asyncCopy is bytes under way to shared memory.
type asyncCopy struct {
	lane   int
	offset uint64
	bytes  uint64
	value  [16]byte
	in     *instruction
}

// cp decodes cp.async, cp.async.commit_group, wait_group and wait_all.
func (d *decoder) cp(s *statement) error {
	if !s.has("async") {
		return nil
	}
	switch {
	case s.has("commit_group"):
		d.in.exec = func(w *warp, _ *instruction, _ uint32) { w.commit() }
		return nil
	case s.has("wait_all"):
		d.in.exec = func(w *warp, _ *instruction, _ uint32) {
			w.commit()
			w.await(0)
		}
		return nil
	case s.has("wait_group"):
		if len(s.args) != 1 || s.args[0].kind != argNumber {
			return nil
		}
		n := int(min(s.args[0].number, 1<<20))
		d.in.exec = func(w *warp, _ *instruction, _ uint32) { w.await(n) }
		return nil
	case len(s.args) < 3 || s.args[2].kind != argNumber || !s.has("shared") || !s.has("global"):
		return nil
	}
	n := s.args[2].number
	if n != 4 && n != 8 && n != 16 {
		return fmt.Errorf("it copies %d bytes", n)
	}
	return d.asyncCopy(s, n)
}

func (d *decoder) asyncCopy(s *statement, n uint64) error {
	if err := d.access(&s.args[1]); err != nil {
		return err
	}
	from := d.in.mem
	from.space, from.bytes, from.element = global, n, n
	if err := d.access(&s.args[0]); err != nil {
		return err
	}
	to := d.in.mem
	to.space, to.bytes, to.element = shared, n, n
	d.k.asyncs = true
	size := d.value(file32, n)
	if len(s.args) > 3 && !s.has("cache_hint") {
		var err error
		if size, err = d.operand(&s.args[3], u32); err != nil {
			return err
		}
		if size.file != file32 {
			return nil
		}
	}
	d.in.exec = func(w *warp, in *instruction, mask uint32) {
		for left := mask; left != 0 && w.err == nil; left &= left - 1 {
			w.startCopy(in, bits.TrailingZeros32(left)&31, from, to, uint64(w.r32[size.at][bits.TrailingZeros32(left)&31]))
		}
		w.release()
	}
	return nil
}

// startCopy reads what a copy reads. The bytes arrive when the warp waits for
// their group: a thread that reads them before fails.
func (w *warp) startCopy(in *instruction, lane int, from, to *access, size uint64) {
	c := asyncCopy{lane: lane, bytes: to.bytes, in: in}
	if size > to.bytes {
		w.fail(in, 1<<lane, InvalidValue, fmt.Sprintf("it copies %d of %d bytes", size, to.bytes))
		return
	}
	if size > 0 {
		source := *from
		source.bytes = size
		if size != from.bytes {
			source.bytes, source.used = from.bytes, 1<<size-1
		}
		r, at := w.memory(in, lane, w.address(from, lane), &source)
		if r == nil {
			return
		}
		if p := w.hold(r, at); p != nil && !w.check(in, lane, r, p, at, &source, reads, nil) {
			return
		}
		copy(c.value[:size], r.data[at:])
	}
	r, at := w.memory(in, lane, w.address(to, lane), to)
	if r == nil {
		return
	}
	if p := w.hold(r, at); p != nil {
		if !w.check(in, lane, r, p, at, to, writes, c.value[:]) {
			return
		}
		for i := range c.bytes / 4 {
			p.flags[at%pageBytes/4+i] |= arriving
		}
	}
	c.offset = at
	if len(w.groups) == 0 || !w.groups[len(w.groups)-1].open {
		w.group()
	}
	g := &w.groups[len(w.groups)-1]
	g.copies = append(g.copies, c)
}

// group opens a group.
func (w *warp) group() {
	if len(w.groups) < cap(w.groups) {
		w.groups = w.groups[:len(w.groups)+1]
	} else {
		w.groups = append(w.groups, asyncGroup{})
	}
	g := &w.groups[len(w.groups)-1]
	g.copies, g.open = g.copies[:0], true
}

// commit closes the open group. An empty one counts too.
func (w *warp) commit() {
	if len(w.groups) == 0 || !w.groups[len(w.groups)-1].open {
		w.group()
	}
	w.groups[len(w.groups)-1].open = false
}

// await completes all committed groups but the last n.
func (w *warp) await(n int) {
	committed := len(w.groups)
	if committed > 0 && w.groups[committed-1].open {
		committed--
	}
	ready := committed - n
	if ready <= 0 {
		return
	}
	to := access{space: shared}
	for i := range ready {
		for j := range w.groups[i].copies {
			c := &w.groups[i].copies[j]
			r := &w.b.shared
			to.bytes = c.bytes
			if p := w.hold(r, c.offset); p != nil {
				for i := range c.bytes / 4 {
					p.flags[c.offset%pageBytes/4+i] &^= arriving
				}
				if !w.check(c.in, c.lane, r, p, c.offset, &to, writes, c.value[:]) {
					return
				}
			}
			copy(r.data[c.offset:c.offset+c.bytes], c.value[:])
		}
	}
	// The groups that remain keep their memory, and so do the completed ones.
	for i := ready; i < len(w.groups); i++ {
		w.groups[i-ready], w.groups[i] = w.groups[i], w.groups[i-ready]
	}
	w.groups = w.groups[:len(w.groups)-ready]
}
