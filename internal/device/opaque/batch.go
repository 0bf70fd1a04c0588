package opaque

import (
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// batch implements [device.Batch]: it gathers the rows of all runs in scratch
// memory, multiplies some at a time, and distributes the results.
type batch struct {
	code *code

	group            int
	runs             []portion
	scratch          *buffer
	product          op.MatMul
	rows, k, n, done int
	err              error
}

// portion is the rows of one run.
type portion struct {
	run          *run
	first, count int
	failed       error
}

// NewBatch implements [device.Code].
func (c *code) NewBatch() device.Batch { return &batch{code: c} }

// Scratch implements [device.Batch].
func (b *batch) Scratch(rows int) int {
	return program.Align(4*rows*b.code.deepest) + 4*rows*b.code.widest
}

// Start implements [device.Batch].
func (b *batch) Start(i int, runs []device.Run, scratch device.Buffer) {
	b.group, b.scratch, b.runs, b.rows, b.done, b.err = i, scratch.(*buffer), b.runs[:0], 0, 0, nil
	defer device.Recovered(&b.err)
	g := &b.code.prog.Groups[i]
	b.product = b.code.prog.Res.Ops[g.Steps[0]].(op.MatMul)
	for _, x := range runs {
		p := portion{run: x.(*run), first: b.rows}
		p.failed = b.gather(&p, g)
		b.runs = append(b.runs, p)
		b.rows += p.count
	}
}

// gather appends the rows of one run to those of the others, once the run has
// reached the group.
func (b *batch) gather(p *portion, g *program.Group) (err error) {
	defer device.Recovered(&err)
	if err := p.run.queue.flush(); err != nil {
		return err
	}
	a, err := p.run.dense(g.In[0])
	if err != nil {
		return err
	}
	x, y := p.run.bound.Shape(g.In[0]), p.run.bound.Shape(b.code.prog.Plan().Steps[g.Steps[0]].Out)
	b.k, b.n = x[len(x)-1], y[len(y)-1]
	p.count = len(a) / (4 * b.k)
	return b.code.d.memory.write(b.scratch, 4*p.first*b.k, a)
}

// Continue implements [device.Batch]: a row at a time.
func (b *batch) Continue(h halt.Func) (done bool, err error) {
	if b.err != nil {
		return false, b.err
	}
	defer device.Recovered(&err)
	if len(b.runs) == 0 {
		return true, nil
	}
	if err := b.code.d.fails("kernel"); err != nil {
		return false, err
	}
	g := &b.code.prog.Groups[b.group]
	w, err := b.runs[0].run.load(g.In[1], nil)
	if err != nil {
		return false, err
	}
	m := &b.code.d.memory
	for first := true; b.done < b.rows && (first || !h.Now()); b.done++ {
		first = false
		raw, err := m.read(b.scratch, 4*b.done*b.k, 4*b.k)
		if err != nil {
			return false, err
		}
		out := op.NewArray(w.DType, 1, b.n)
		x := &op.Array{DType: w.DType, Shape: []int{1, b.k}, Strides: []int{b.k, 1}, Data: raw}
		if err := b.product.Eval(out, []*op.Array{x, w}, nil); err != nil {
			return false, err
		}
		if err := m.write(b.scratch, b.at(b.done), out.Data); err != nil {
			return false, err
		}
	}
	if b.done < b.rows {
		return false, nil
	}
	for k := range b.runs {
		if p := &b.runs[k]; p.failed == nil {
			p.failed = b.finish(p, g)
		}
	}
	return true, nil
}

// at is the place of a row of the product.
func (b *batch) at(row int) int { return program.Align(4*b.rows*b.k) + 4*row*b.n }

// finish gives a run its rows, and computes the steps after the product in its
// group.
func (b *batch) finish(p *portion, g *program.Group) (err error) {
	defer device.Recovered(&err)
	p.run.d.fault("kernel")
	v := b.code.prog.Plan().Steps[g.Steps[0]].Out
	own, err := b.code.d.memory.read(b.scratch, b.at(p.first), 4*p.count*b.n)
	if err != nil {
		return err
	}
	shape, regs := p.run.bound.Shape(v), registers{}
	out := &op.Array{DType: b.code.prog.Plan().Values[v].Spec.DType, Shape: shape, Strides: op.ContiguousStrides(shape), Data: own}
	if err := p.run.store(v, out, regs); err != nil {
		return err
	}
	return p.run.steps(g.Steps[1:], regs, nil)
}

// Fault implements [device.Batch].
func (b *batch) Fault(k int) error {
	err := b.runs[k].failed
	b.runs[k].failed = nil
	return err
}

// Each implements [device.Batch].
func (*batch) Each(from, n int, h halt.Func, f func(i int)) (to int) {
	return device.InTurn(from, n, h, f)
}

// Drop implements [device.Batch].
func (b *batch) Drop(k int) { b.runs = slices.Delete(b.runs, k, k+1) }
