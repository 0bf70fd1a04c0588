package cpu

import (
	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/kernels"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// The chunks of a joint product are short, since a cancelled run waits for
// those being computed: about this many elements of the matrix, with at most
// jointDepth in a column.
const (
	jointElems = 1 << 20
	jointDepth = 1 << 16
)

// NewBatch implements [device.Code].
func (c *code) NewBatch() device.Batch {
	b := &batch{code: c, job: newJob(), step: step{pool: c.d.pool}}
	b.step.batch = b
	return b
}

// Scratch implements [device.Batch].
func (b *batch) Scratch(rows int) int {
	return program.Align(4*rows*b.code.jointK) + 4*rows*b.code.jointN
}

// Start implements [device.Batch]: it gathers the rows of all runs and cuts
// their product into chunks.
func (b *batch) Start(i int, runs []device.Run, scratch device.Buffer) {
	b.done, b.err = 0, nil
	for len(b.runs) < len(runs) {
		b.runs = append(b.runs, portion{failed: new(device.Failure)})
	}
	b.runs = b.runs[:len(runs)]
	defer func() {
		if r := recover(); r != nil {
			b.err = device.Caught(r)
		}
	}()
	mem := bytes(scratch)
	first := &runs[0].(*run).steps[i]
	p := product{group: i, packed: first.packed}
	p.k, p.n = first.in[0].Shape[len(first.in[0].Shape)-1], first.out.Shape[len(first.out.Shape)-1]
	for k, x := range runs {
		m := &b.runs[k]
		m.run = x.(*run)
		a := m.run.steps[i].in[0]
		_ = m.failed.Take()
		m.first, m.count = p.rows, a.Len()/p.k
		copyDense(mem[4*p.rows*p.k:][:4*a.Len()], a, nil) // few rows
		p.rows += m.count
	}
	all := op.Array{Data: mem}
	p.a, p.c = all.F32()[:p.rows*p.k], all.F32()[program.Align(4*p.rows*p.k)/4:][:p.rows*p.n]
	b.now = p
	b.step.cutLinear(p.rows, p.n, p.k)
	most := max(grainPanels, jointElems/(p.k*kernels.PanelWidth))
	b.step.colBlocks = max(b.step.colBlocks, (kernels.Panels(p.n)+most-1)/most)
}

// Continue implements [device.Batch].
func (b *batch) Continue(h halt.Func) (done bool, err error) {
	if b.err != nil {
		return false, b.err
	}
	defer device.Recovered(&err)
	b.step.halt = h
	chunks := b.step.rowBlocks * b.step.colBlocks
	b.done = b.code.d.pool.runFrom(b.job, &b.step, b.done, chunks, 1, jointChunk)
	return b.done == chunks, nil
}

// Each implements [device.Batch].
func (b *batch) Each(from, n int, h halt.Func, f func(i int)) (to int) {
	b.step.halt, b.step.each = h, f
	return b.code.d.pool.runFrom(b.job, &b.step, from, n, 1, eachChunk)
}

func eachChunk(s *step, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.each(i)
	}
}

// Fault implements [device.Batch].
func (b *batch) Fault(k int) error { return b.runs[k].failed.Take() }

// Drop implements [device.Batch].
func (b *batch) Drop(k int) {
	gone := b.runs[k]
	copy(b.runs[k:], b.runs[k+1:])
	b.runs[len(b.runs)-1] = portion{failed: gone.failed}
	b.runs = b.runs[:len(b.runs)-1]
}

// jointChunk computes one block of rows and columns of a product, and the steps
// after the product in each run.
func jointChunk(s *step, lo, hi int) {
	b, p := s.batch, &s.batch.now
	for i := lo; i < hi; i++ {
		r0, r1, p0, p1 := s.block(i, p.rows, p.n)
		p.packed.product(p.c[r0*p.n:], p.n, p.a[r0*p.k:], p.k, r1-r0, p.n, p.k, p0, p1, nil)
		n0, n1 := p0*kernels.PanelWidth, min(p1*kernels.PanelWidth, p.n)
		for k := range b.runs {
			m := &b.runs[k]
			m.store(p, max(r0, m.first), min(r1, m.first+m.count), n0, n1)
		}
	}
}

// store takes the run's rows r0 to r1 and columns n0 to n1 of a product, and
// applies the stages to them.
func (m *portion) store(p *product, r0, r1, n0, n1 int) {
	defer func() {
		if r := recover(); r != nil {
			m.failed.Set(r)
		}
	}()
	s := &m.run.steps[p.group]
	out := s.out.F32()
	for r := r0; r < r1; r++ {
		own := (r - m.first) * p.n
		copy(out[own+n0:own+n1], p.c[r*p.n+n0:r*p.n+n1])
	}
	if r0 < r1 {
		s.finish(r0-m.first, r1-m.first, n0, n1)
	}
}
