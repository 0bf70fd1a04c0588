package semantic

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// Kernel is work that an executor does in one go: an operator, or several
// whose intermediate values are never stored.
type Kernel struct {
	Class Class
	Cost  Cost  // of all together; intermediate values are not moved
	Nodes []int // tensor ids, the result last
}

// Kernels groups the live operators of a run with the symbols bound to b, in
// order. A product or a convolution takes the elementwise operators after it
// along, a convolution its batch normalisation too, and an attention pattern is
// one kernel; a value that somebody else reads ends a group. Views do nothing
// and are in none. It is the engine's fusion as far as costs go, not a promise
// of it.
func (s *SRG) Kernels(b plan.Bindings) ([]Kernel, error) {
	sizes, err := s.bind(b)
	if err != nil {
		return nil, err
	}
	return s.kernels(sizes, s.costs(sizes)), nil
}

func (s *SRG) kernels(sizes [][]int, costs []Cost) []Kernel {
	f := &fusion{s: s, uses: s.uses(), group: make([]int, len(s.Nodes)), pattern: map[int]int{}}
	for id := range s.Nodes {
		f.group[id] = -1
		t := s.Nodes[id].Tensor
		if s.Nodes[id].Dead || t.Op() == nil || isView(t) {
			continue
		}
		g := f.place(t, sizes)
		f.group[id] = g
		k := &f.kernels[g]
		k.Nodes = append(k.Nodes, id)
		k.Cost.FLOPs += costs[id].FLOPs
	}
	for g := range f.kernels {
		f.traffic(g, sizes, costs)
	}
	return f.kernels
}

// fusion groups tensors into kernels.
type fusion struct {
	s       *SRG
	uses    []int // by tensor id: reads of it and of its views, the caller's included
	group   []int // by tensor id: its kernel, -1 for none
	pattern map[int]int
	kernels []Kernel
}

// uses counts what reads each tensor's memory.
func (s *SRG) uses() []int {
	uses := make([]int, len(s.Nodes))
	for id := range s.Nodes {
		t := s.Nodes[id].Tensor
		if s.Nodes[id].Dead {
			continue
		}
		for _, in := range t.In() {
			uses[in.ID()]++
		}
	}
	for _, o := range s.Graph.Outputs() {
		uses[o.Tensor.ID()]++
	}
	for _, c := range s.Graph.Carries() {
		uses[c.Out.ID()]++
	}
	return uses
}

// place finds the kernel that t belongs to, a new one if none takes it along.
func (f *fusion) place(t *lazy.Tensor, sizes [][]int) int {
	if p := f.s.Nodes[t.ID()].Attention; p > 0 {
		if g, ok := f.pattern[p]; ok {
			return g
		}
		f.pattern[p] = len(f.kernels)
		return f.add(ClassAttention)
	}
	for i, in := range t.In() {
		g := f.group[in.ID()]
		if g < 0 || f.uses[in.ID()] != 1 || !f.follows(t, i, f.kernels[g].Class, sizes) {
			continue
		}
		if nodes := f.kernels[g].Nodes; nodes[len(nodes)-1] == in.ID() {
			return g
		}
	}
	return f.add(classOf(t, sizes))
}

func (f *fusion) add(c Class) int {
	f.kernels = append(f.kernels, Kernel{Class: c})
	return len(f.kernels) - 1
}

// follows reports whether t can be applied to a kernel's result, its operand i,
// before that is stored.
func (f *fusion) follows(t *lazy.Tensor, i int, c Class, sizes [][]int) bool {
	conv := c == ClassConv || c == ClassConv3x3
	if !conv && c != ClassProduct && c != ClassNarrow {
		return false
	}
	switch o := t.Op().(type) {
	case op.BatchNorm:
		return conv && i == 0
	case op.ReLU:
		return true
	case op.Bias:
		return i == 0 && !conv
	case op.Tanh, op.GELU:
		return !conv
	case op.Arith:
		other := sizes[t.In()[1-i].ID()]
		same := elements(other) == elements(sizes[t.ID()])
		return o.Traits().Commutative && same && (!conv || o.Name() == "add")
	}
	return false
}

// traffic fills in what kernel g reads and writes: its result, and the operands
// that are not its own.
func (f *fusion) traffic(g int, sizes [][]int, costs []Cost) {
	k := &f.kernels[g]
	if len(k.Nodes) == 1 {
		k.Cost = costs[k.Nodes[0]]
		return
	}
	for _, id := range k.Nodes {
		for _, in := range f.s.Nodes[id].Tensor.In() {
			source := in
			for source.Op() != nil && isView(source) {
				source = source.In()[0]
			}
			if f.group[source.ID()] != g {
				k.Cost.BytesRead += f.s.storedBytes(in, sizes[in.ID()])
			}
		}
	}
	last := k.Nodes[len(k.Nodes)-1]
	k.Cost.BytesWritten = f.s.storedBytes(f.s.Nodes[last].Tensor, sizes[last])
}
