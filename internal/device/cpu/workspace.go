package cpu

import (
	"unsafe"

	"github.com/genie-sdk/go/internal/budget"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/program"
)

// get returns at least n bytes with undefined contents.
func (p *workspace) get(n int) ([]byte, error) {
	if b := p.piece(n); b != nil {
		return b, nil
	}
	return p.d.unforeseen(n)
}

// piece is get from the workspace's own memory, nil when that has no room.
func (p *workspace) piece(n int) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, b := range p.free {
		if len(b) >= n {
			p.free[i] = p.free[len(p.free)-1]
			p.free = p.free[:len(p.free)-1]
			p.taken++
			return b
		}
	}
	end := p.top + program.Align(n)
	if end > len(p.mem) {
		return nil
	}
	b := p.mem[p.top:end:end]
	p.top = end
	p.taken++
	return b
}

// put takes back memory from get.
func (p *workspace) put(b []byte) {
	if b != nil && !p.takeBack(b) {
		p.d.giveBack(b)
	}
}

// takeBack reports whether b is a piece of the workspace, and frees it if so.
func (p *workspace) takeBack(b []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.owns(b) {
		return false
	}
	p.free = append(p.free, b)
	if p.taken--; p.taken == 0 {
		p.top, p.free = 0, p.free[:0]
	}
	return true
}

func (p *workspace) owns(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(p.mem)))
	return at >= from && at < from+uintptr(len(p.mem))
}

// place gives the workspace its part of an arena.
func (p *workspace) place(mem []byte) {
	p.mem, p.top, p.taken, p.free = mem, 0, 0, p.free[:0]
}

// unforeseen is memory for requests that no workspace has room for.
func (d *Device) unforeseen(n int) ([]byte, error) {
	if err := d.opts.Budget.Reserve(budget.Scratch, int64(n), "scratch memory"); err != nil {
		return nil, err
	}
	b, err := memory.Map(n)
	if err != nil {
		d.opts.Budget.Release(budget.Scratch, int64(n))
		return nil, noMemory(n, err)
	}
	return b, nil
}

func (d *Device) giveBack(b []byte) {
	d.opts.Budget.Release(budget.Scratch, int64(len(b)))
	memory.Unmap(b)
}

// workspace is the workspace that the group's kernel needs at the current sizes
// of its values, in bytes.
func (s *step) workspace() int {
	switch s.group.Kind {
	case program.Attend:
		return s.attentionWorkspace()
	case program.Convolve:
		n, x := 0, s.in[0]
		if s.packed == nil {
			f := &s.arrays[s.group.Conv.Filters]
			n += program.Align(4 * filterShape(&s.group.Conv, f.Shape).PackedLen())
		}
		if !lastChannels(x) {
			n += program.Align(4 * x.Len())
		}
		return n
	case program.Linear:
		return s.productWorkspace()
	case program.Single, program.Elementwise:
		if s.inputs != nil {
			return s.inputs.need(s)
		}
		if s.blocks != nil {
			return s.blocksWorkspace()
		}
		if s.pooling != nil {
			return s.poolWorkspace()
		}
		if s.resizing != nil {
			return s.resizeWorkspace()
		}
		if s.transposing != nil {
			return s.transposeWorkspace()
		}
		if s.recurring != nil {
			return s.recurrentWorkspace()
		}
		if s.reducing != nil {
			return s.reduceWorkspace()
		}
	}
	return 0
}
