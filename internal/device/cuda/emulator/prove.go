package emulator

import "slices"

// marks is a set of registers, by their marks.
type marks []uint64

func (m marks) has(i int32) bool { return m[i>>6]>>(i&63)&1 != 0 }
func (m marks) add(i int32)      { m[i>>6] |= 1 << (i & 63) }
func (m marks) remove(i int32)   { m[i>>6] &^= 1 << (i & 63) }

// prove finds the uses of registers that come after a write on every way
// through the function, and drops the checks of them. What remains is checked
// as it executes.
func (g *graph) prove(k *kernel) {
	n := len(g.next)
	words := (k.marks + 63) / 64
	out := make([]marks, n)
	in := make(marks, words)
	for changed := true; changed; {
		changed = false
		for b := range n {
			g.enter(b, out, in)
			for i := g.first[b]; i < g.first[b+1]; i++ {
				k.code[i].write(in)
			}
			if out[b] == nil || !slices.Equal(out[b], in) {
				out[b], changed = slices.Clone(in), true
			}
		}
	}
	needed := make(marks, words)
	for b := range n {
		g.enter(b, out, in)
		for i := g.first[b]; i < g.first[b+1]; i++ {
			c := &k.code[i]
			c.uses = slices.DeleteFunc(c.uses, func(s slot) bool { return s.mark < 0 || in.has(s.mark) })
			for _, s := range c.uses {
				needed.add(s.mark)
			}
			for j, from := range c.from {
				if from >= 0 && c.moves != noMove && in.has(from) {
					c.from[j] = -1
				} else if from >= 0 && c.moves != noMove {
					needed.add(from)
				}
			}
			c.write(in)
		}
	}
	for i := range k.code {
		c := &k.code[i]
		c.sets = slices.DeleteFunc(c.sets, func(s slot) bool { return !needed.has(s.mark) })
		if len(c.sets) == 0 && c.moves != moveItself {
			c.moves = noMove
		}
	}
}

// enter is what is written wherever block b begins.
func (g *graph) enter(b int, out []marks, in marks) {
	if b == 0 {
		clear(in)
		return
	}
	for i := range in {
		in[i] = ^uint64(0)
	}
	for _, p := range g.prev[b] {
		if out[p] == nil {
			continue // not known yet: everything
		}
		for i := range in {
			in[i] &= out[p][i]
		}
	}
}

// write updates what is written by what an instruction does.
func (in *instruction) write(w marks) {
	proved := true
	switch in.moves {
	case moveOne:
		proved = in.from[0] < 0 || w.has(in.from[0])
	case moveSelected:
		proved = (in.from[0] < 0 || w.has(in.from[0])) && (in.from[1] < 0 || w.has(in.from[1]))
	case moveItself:
		proved = false
	case noMove:
	}
	for _, s := range in.sets {
		switch {
		case !proved:
			w.remove(s.mark)
		case in.guard < 0:
			w.add(s.mark)
		}
	}
}
