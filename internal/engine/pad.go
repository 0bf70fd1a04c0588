package engine

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// pad is the memory that kernels of one branch of a run work in, beside the
// buffers of its values. It lies in the run's arena, so that a run has all its
// memory before it begins.
type pad struct {
	more *arenas // for what was not foreseen
	off  int     // in the arena
	size int

	mu    sync.Mutex
	mem   []byte
	top   int // what lies behind has not been handed out since all of it was free
	taken int // pieces
	free  [][]byte
}

// get returns at least n bytes, whose contents are undefined.
func (p *pad) get(n int) ([]byte, error) {
	if b := p.piece(n); b != nil {
		return b, nil
	}
	return p.more.get(n)
}

// piece is get from the pad's own memory, nil when that has no room.
func (p *pad) piece(n int) []byte {
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
	end := p.top + align(n)
	if end > len(p.mem) {
		return nil
	}
	b := p.mem[p.top:end:end]
	p.top = end
	p.taken++
	return b
}

// put takes back what get gave.
func (p *pad) put(b []byte) {
	if b != nil && !p.takeBack(b) {
		p.more.put(b)
	}
}

// takeBack reports whether b is a piece of the pad, which is free then.
func (p *pad) takeBack(b []byte) bool {
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

func (p *pad) owns(b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	from := uintptr(unsafe.Pointer(unsafe.SliceData(p.mem)))
	return at >= from && at < from+uintptr(len(p.mem))
}

// place gives the pad its part of an arena.
func (p *pad) place(arena []byte) {
	p.mem = arena[p.off : p.off+p.size : p.off+p.size]
	p.top, p.taken, p.free = 0, 0, p.free[:0]
}

// pads lists the groups that need a pad: one of those that need equally much at
// all sizes.
func (p *Program) pads() {
	seen := map[string]bool{}
	for i := range p.Groups {
		g := &p.Groups[i]
		key := fmt.Sprint(g.Kind, p.LaneOf(i))
		switch g.Kind {
		case program.Convolve:
			w := p.Plan().Values[g.Conv.Filters]
			key += fmt.Sprint(w.Kind, w.Spec.Shape, g.Conv.Geometry, g.Conv.Image)
		case program.Linear:
			// A value with memory of its own has equally distant rows.
			if v := g.In[0]; p.Res.Base[v] == v && p.Res.Layouts[v].Dense {
				continue
			}
		case program.Attend:
		case program.Single:
			o, ok := p.Res.Ops[g.Steps[0]].(op.TopK)
			if !ok {
				continue
			}
			key += strconv.Itoa(o.K)
		}
		var of strings.Builder
		for _, v := range g.In {
			fmt.Fprint(&of, ";", p.Places[v].Shape, p.Places[v].Strides)
		}
		if key += of.String(); !seen[key] {
			seen[key] = true
			p.padded = append(p.padded, i)
		}
	}
}

// padNeed is the memory of the group's pad at the sizes that its values have
// now, in bytes.
func (s *step) padNeed() int {
	switch s.group.Kind {
	case program.Attend:
		return s.attentionPad()
	case program.Convolve:
		n, x := 0, s.in[0]
		if s.packed == nil {
			f := &s.arrays[s.group.Conv.Filters]
			n += align(4 * filterShape(&s.group.Conv, f.Shape).PackedLen())
		}
		if !lastChannels(x) {
			n += align(4 * x.Len())
		}
		return n
	case program.Linear:
		if _, _, _, ok := rowRun(s.in[0]); !ok {
			return align(4 * s.in[0].Len())
		}
	case program.Single:
		if o, ok := s.op.(op.TopK); ok {
			return align(4 * o.K)
		}
	}
	return 0
}

// fitPads computes how large the pads must be and reports whether they are.
func (b *binding) fitPads(changed uint64) bool {
	if b.valid && changed == 0 {
		return true
	}
	clear(b.padNeed)
	for _, i := range b.prog.padded {
		k := b.prog.padOf(i)
		b.padNeed[k] = max(b.padNeed[k], b.steps[i].padNeed())
	}
	for k, p := range b.pads {
		if b.padNeed[k] > p.size {
			return false
		}
	}
	return true
}

// padOf is the pad of group i: branches run at one time and share none.
func (p *Program) padOf(i int) int {
	if p.LaneOf(i) == 1 {
		return 1
	}
	return 0
}
