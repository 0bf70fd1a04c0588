package emulator

import (
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/genie-sdk/go/internal/device/cuda/driver"
)

// seed is that of the hashes of host memory.
var seed = maphash.MakeSeed()

func (s *stream) CopyIn(dst driver.Ptr, src []byte) error {
	return s.queueCopy("cuMemcpyHtoDAsync", func(w *work) {
		w.task, w.to, w.n, w.host = taskIn, uint64(dst), uint64(len(src)), src
		r := rangeOf(src)
		if !slices.ContainsFunc(s.c.outs, func(o hostRange) bool { return o.from < r.to && r.from < o.to }) {
			w.hash, w.hashed = maphash.Bytes(seed, src), true
		}
	})
}

func (s *stream) CopyOut(dst []byte, src driver.Ptr) error {
	return s.queueCopy("cuMemcpyDtoHAsync", func(w *work) {
		w.task, w.at, w.n, w.host = taskOut, uint64(src), uint64(len(dst)), dst
		poison(dst) // whoever reads it too early reads this
		s.c.outs = append(s.c.outs, rangeOf(dst))
	})
}

// outDone notes that a copy to the host is done.
func (s *stream) outDone(dst []byte) {
	if i := slices.Index(s.c.outs, rangeOf(dst)); i >= 0 {
		s.c.outs = slices.Delete(s.c.outs, i, i+1)
	}
}

func (s *stream) Copy(dst, src driver.Ptr, n int64) error {
	if n < 0 {
		return NewError("cuMemcpyDtoDAsync", InvalidValue, fmt.Sprintf("%d bytes", n), false)
	}
	return s.queueCopy("cuMemcpyDtoDAsync", func(w *work) {
		w.task, w.to, w.at, w.n = taskCopy, uint64(dst), uint64(src), uint64(n)
	})
}

func (s *stream) Fill(dst driver.Ptr, b byte, n int64) error {
	if n < 0 {
		return NewError("cuMemsetD8Async", InvalidValue, fmt.Sprintf("%d bytes", n), false)
	}
	return s.queueCopy("cuMemsetD8Async", func(w *work) { w.task, w.to, w.value, w.n = taskFill, uint64(dst), b, uint64(n) })
}

// transfer executes a copy or a fill.
func (s *stream) transfer(w *work) *driver.Error {
	call := [...]string{taskIn: "cuMemcpyHtoDAsync", taskOut: "cuMemcpyDtoHAsync", taskCopy: "cuMemcpyDtoDAsync", taskFill: "cuMemsetD8Async"}[w.task]
	if w.n == 0 {
		return nil
	}
	var from, to []byte
	var source, target *region
	if w.task == taskIn {
		from = w.host
		if w.hashed && maphash.Bytes(seed, from) != w.hash {
			return NewError(call, HostCopyRace, fmt.Sprintf("the process changed %d bytes of its memory before their copy to %#x", w.n, w.to), true)
		}
	}
	if w.task == taskOut || w.task == taskCopy {
		var err *driver.Error
		if source, err = s.span(call, w.at, w.n); err != nil {
			return err
		}
		at := w.at - source.base
		from = source.data[at : at+w.n]
		// A copy within the device moves what is unwritten as it is.
		if err := s.touch(call, source, at, w.n, reads, w.task == taskOut); err != nil {
			return err
		}
	}
	gaps := s.gaps && w.task == taskCopy
	if w.task == taskOut {
		to = w.host
	} else {
		var err *driver.Error
		if target, err = s.span(call, w.to, w.n); err != nil {
			return err
		}
		at := w.to - target.base
		to = target.data[at : at+w.n]
		if err := s.touch(call, target, at, w.n, writes, false); err != nil {
			return err
		}
		if w.task == taskCopy {
			return s.within(call, w, target, source, gaps)
		}
	}
	if w.task == taskFill {
		for i := range to {
			to[i] = w.value
		}
		return nil
	}
	copy(to, from)
	return nil
}

// span is the allocation of n bytes at an address.
func (s *stream) span(call string, at, n uint64) (*region, *driver.Error) {
	r := s.c.heap.find(at)
	switch {
	case r == nil:
		return nil, NewError(call, IllegalAddress, fmt.Sprintf("%d bytes at %#x are in no allocation", n, at), true)
	case r.data == nil:
		return nil, NewError(call, IllegalAddress, fmt.Sprintf("%d bytes at %#x are in %s, which was freed", n, at, r), true)
	case at < r.base || at-r.base > r.size || n > r.size-(at-r.base):
		return nil, NewError(call, IllegalAddress, fmt.Sprintf("%d bytes at %#x are outside %s: offset %d", n, at, r, int64(at-r.base)), true)
	}
	return r, nil
}

// touch checks and records the access of a copy to memory, page by page. It
// notes in s.gaps whether it read what is unwritten.
func (s *stream) touch(call string, r *region, at, n uint64, use usage, written bool) *driver.Error {
	s.gaps = false
	if r.pages == nil {
		return nil
	}
	for end := at + n; at < end; {
		stop := min(end, at/pageBytes*pageBytes+pageBytes)
		if err := s.touchPage(call, r, at, stop, use, written); err != nil {
			return err
		}
		at = stop
	}
	return nil
}

func (s *stream) touchPage(call string, r *region, at, stop uint64, use usage, written bool) *driver.Error {
	me := uint64(s.copier.id) << idShift
	p := r.page(at / pageBytes)
	defer p.mu.Unlock()
	for at < stop {
		word, size := uint32(at%pageBytes/4), min(stop-at, 4-at%4)
		mask := uint8(1<<size-1) << (at % 4)
		if use == reads && p.flags[word]&mask != mask {
			if written {
				return NewError(call, UnwrittenRead, fmt.Sprintf("offset %d of %s was never written", at, r), true)
			}
			s.gaps = true
		}
		if s.touchWord(p, word, mask, me, use) {
			return NewError(call, DataRace, fmt.Sprintf("offset %d of %s is in use by work of another stream, and nothing orders the two", at, r), true)
		}
		at += size
	}
	return nil
}

// touchWord checks and records the access to bytes of a word, and reports
// whether it races.
func (s *stream) touchWord(p *page, word uint32, mask uint8, me uint64, use usage) bool {
	race := false
	access := func(c *cell) {
		if use == reads {
			race = race || s.copier.read(c, me, false)
			return
		}
		clash, _ := s.copier.write(c, me, false, false)
		race = race || clash
	}
	if mask == 15 && p.flags[word]&split == 0 {
		access(&p.cells[word])
	} else {
		cells := p.divide(word)
		for i := range cells {
			if mask>>i&1 != 0 {
				access(&cells[i])
			}
		}
	}
	if use == writes {
		p.flags[word] |= mask
	}
	return race
}

// within copies within the device, with what is known of the bytes: what is
// unwritten stays unwritten.
func (s *stream) within(call string, w *work, target, source *region, gaps bool) *driver.Error {
	to, from := w.to-target.base, w.at-source.base
	if target == source && to < from+w.n && from < to+w.n {
		return NewError(call, InvalidValue, "the copy overlaps itself", true)
	}
	copy(target.data[to:to+w.n], source.data[from:from+w.n])
	for i := range w.n {
		if gaps && !source.written(from+i) {
			target.unwrite(to + i)
		}
	}
	return nil
}

// written reports whether a byte was written, and unwrite makes it unwritten.
func (r *region) written(at uint64) bool {
	p := r.page(at / pageBytes)
	defer p.mu.Unlock()
	return p.flags[at%pageBytes/4]>>(at%4)&1 != 0
}

func (r *region) unwrite(at uint64) {
	p := r.page(at / pageBytes)
	defer p.mu.Unlock()
	p.flags[at%pageBytes/4] &^= 1 << (at % 4)
}
