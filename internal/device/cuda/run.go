package cuda

import (
	"context"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/device/cuda/driver"
	"github.com/genie-sdk/go/internal/device/cuda/kernels"
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
)

// run implements [device.Run]: launches in a stream. It has no resources of the
// device between a Wait and the next groups.
type run struct {
	d     *Device
	code  *code
	prog  *program.Program
	bound *program.Bound
	ctl   device.Control
	halt  halt.Func // the control's
	id    uint64    // among the device's runs, from 1

	tensors []kernels.Tensor // by value
	weights []*weight        // by value
	groups  []group
	states  []pages // by state
	space   workspace

	arena    *buffer        // nil before it is placed, and when all values must be
	inputs   []device.Input // by input
	uploaded bool           // what it reads from this process is on the device

	queue   *queue        // nil while nothing is queued
	st      driver.Stream // where its groups are queued: the queue's own, or a batch's
	shared  *shared       // the stream of a batch, nil for none
	ahead   pacing
	timed   []timed
	fetched []fetched // small outputs that Wait has copied
}

// group is a group of a run.
type group struct {
	*coded
	of    *program.Group
	index int
	in    []*kernels.Tensor
	out   *kernels.Tensor
	// Of a product: its matrix, its rows, and the steps after it.
	matrix  kernels.Packed
	rows    [1]kernels.Rows
	stages  []kernels.Stage
	packed  bool
	strides axes // of rows that are copied first
}

// pages is where a state is stored.
type pages struct {
	at    []driver.Ptr
	rows  int        // positions in each
	table driver.Ptr // their addresses in device memory; 0 for one page
}

// NewRun implements [device.Code].
func (c *code) NewRun(b *program.Bound, ctl device.Control) device.Run {
	p := c.prog
	r := &run{
		d: c.d, code: c, prog: p, bound: b, ctl: ctl, halt: ctl.Halt, id: c.d.runs.Add(1),
		tensors: make([]kernels.Tensor, len(p.Places)), weights: make([]*weight, len(p.Places)),
		groups: make([]group, len(p.Groups)), states: make([]pages, len(p.Plan().States)),
		inputs: make([]device.Input, len(p.Plan().Inputs)), fetched: make([]fetched, 0, len(c.fetched)),
	}
	for v := range p.Places {
		r.tensors[v] = kernels.Tensor{DType: p.Plan().Values[v].Spec.DType, Shape: b.Shape(v), Strides: b.Strides(v)}
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		x := &r.groups[i]
		*x = group{coded: &c.groups[i], of: g, index: i, out: &r.tensors[g.Out]}
		x.in = make([]*kernels.Tensor, 0, len(g.In))
		for _, v := range g.In {
			x.in = append(x.in, &r.tensors[v])
		}
		x.stages = stagesOf(g)
	}
	r.space.init(c)
	for _, v := range c.fetched {
		r.fetched = append(r.fetched, fetched{value: v})
	}
	return r
}

// Prepare implements [device.Run].
func (r *run) Prepare(_ context.Context, weights []device.Weight) error {
	for v, w := range weights {
		if w, ok := w.(*weight); ok {
			r.weights[v] = w
		}
	}
	for i := range r.groups {
		g := &r.groups[i]
		if v, ok := matrixOf(g); ok && r.weights[v] != nil && r.code.packed(v) {
			g.matrix, g.packed = r.weights[v].product(), true
		}
	}
	return nil
}

// matrixOf is the value that a group reads as a matrix, which may be packed.
func matrixOf(g *group) (v int, ok bool) {
	switch g.op.(type) {
	case op.MatMul:
		if g.of.Kind == program.Linear {
			return g.of.In[1], true
		}
	case op.Embedding:
		return g.of.In[0], true
	}
	return 0, false
}

// Heap implements [device.Run]: kernels take no memory of this process.
func (*run) Heap() int64 { return 0 }

// Forget implements [device.Run].
func (r *run) Forget() { r.arena = nil }

// View implements [device.Run]: no device memory is visible.
func (*run) View(int) []byte { return nil }
