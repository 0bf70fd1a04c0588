package cpu

import (
	"slices"

	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// blockProgram computes a block of the output of one or more elementwise operators
// from blocks of their inputs. What is between them stays in the first cache.
//
// Blocks are numbered: the output is 0, inputs that loops run over follow, then
// blocks of the program's own.
type blockProgram struct {
	steps  []blockStep
	wide   int      // inputs that loops run over: the first ones
	sizes  []int    // by block: bytes of an element
	filled []filled // blocks of its own with repetitions of an input of one element
	widest int      // bytes of the widest element
}

// filled is a block that repeats the only element of an input.
type filled struct{ block, input int }

// blockStep is one operator.
type blockStep struct {
	run    blockKernel
	in     [3]int // blocks
	inputs int
	out    int // block
	// scalar computes it instead of run, from in[0] and the only element of an input.
	scalar func(dst, a []float32, b float32)
	number int
}

// mostBlocks bounds the blocks of a program: the output, inputs, and of each step a
// result and an input that is repeated.
const mostBlocks = 1 + program.MaxOperands + 2*program.MaxElementwise

// newBlockProgram is that of a group of elementwise operators, nil where one of them
// has no kernel.
func newBlockProgram(p *program.Program, g *program.Group) *blockProgram {
	m := blockMaker{p: p, g: g, at: map[int]int{}, last: map[int]int{}, free: map[int][]int{}}
	m.sizes, m.wide = []int{m.size(g.Out)}, len(g.In)
	if g.Kind == program.Elementwise {
		m.wide = g.Operands
	}
	for k, v := range g.In[:m.wide] {
		m.at[v], m.sizes = k+1, append(m.sizes, m.size(v))
	}
	for i, k := range g.Steps {
		for _, v := range p.Plan().Steps[k].In {
			m.last[v] = i
		}
	}
	for i := range g.Steps {
		if !m.add(i) {
			return nil
		}
	}
	m.widest = slices.Max(m.sizes)
	return &m.blockProgram
}

// blockMaker makes a block program.
type blockMaker struct {
	blockProgram
	p    *program.Program
	g    *program.Group
	at   map[int]int   // block by value
	last map[int]int   // by value: the last step that reads it
	free map[int][]int // blocks by size of an element
}

func (m *blockMaker) size(v int) int { return m.p.Plan().Values[v].Spec.DType.Size() }

// take is a block for a value.
func (m *blockMaker) take(v int) int {
	size := m.size(v)
	f := m.free[size]
	if n := len(f); n > 0 {
		m.at[v], m.free[size] = f[n-1], f[:n-1]
	} else {
		m.at[v], m.sizes = len(m.sizes), append(m.sizes, size)
	}
	return m.at[v]
}

// scalar is the index of an input of one element, and whether v is one.
func (m *blockMaker) scalar(v int) (int, bool) {
	k := slices.Index(m.g.In, v)
	return k, k >= m.wide
}

// add adds step i of the group. It is false where that has no kernel.
func (m *blockMaker) add(i int) bool {
	k := m.g.Steps[i]
	s, o, specs := &m.p.Plan().Steps[k], m.p.Res.Ops[k], m.p.Inputs(k)
	st := blockStep{run: elementKernel(o, specs)}
	if st.run == nil {
		return false
	}
	in := s.In
	if e, _ := pointwiseKernel(o); e.scalar != nil && specs[0].DType == plan.F32 && specs[1].DType == plan.F32 {
		if _, first := m.scalar(in[0]); first && o.Traits().Commutative {
			in = []int{in[1], in[0]}
		}
		if number, second := m.scalar(in[1]); second {
			st.scalar, st.number, in = e.scalar, number, in[:1]
		}
	}
	for j, v := range in {
		block, known := m.at[v]
		if number, ok := m.scalar(v); ok && !known {
			block = len(m.sizes) // not one that earlier steps write to
			m.at[v], m.sizes = block, append(m.sizes, m.size(v))
			m.filled = append(m.filled, filled{block, number})
			m.last[v] = len(m.g.Steps) // it is not filled again
		}
		st.in[j] = block
	}
	if st.inputs = len(in); i < len(m.g.Steps)-1 {
		st.out = m.take(s.Out)
	}
	for _, v := range s.In {
		if block := m.at[v]; m.last[v] == i && block > m.wide {
			m.free[m.sizes[block]] = append(m.free[m.sizes[block]], block)
			m.last[v] = -1
		}
	}
	m.steps = append(m.steps, st)
	return true
}
