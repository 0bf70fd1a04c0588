package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// output is an output of a finished run.
type output struct {
	t transport.Tensor
	h transport.Handle
}

// finish makes the run's effects last: new state, kept and downloaded outputs. When
// ctx ends while it copies them there are none, but for the states that
// [Call.commitStates] has begun to write.
func (c *Call) finish(ctx context.Context) error {
	b, p := c.b, c.b.prog.plan
	if cap(c.outputs) < len(p.Outputs) {
		c.outputs = make([]output, len(p.Outputs))
	}
	c.outputs = c.outputs[:len(p.Outputs)]
	for i, o := range p.Outputs {
		a := &b.arrays[o.Value]
		n := a.Len() * a.DType.Size()
		t := transport.Tensor{DType: a.DType, Shape: a.Shape}
		if a.Contiguous() && o.Place == plan.Download {
			t.Data = a.Data[:n]
		} else {
			mem, err := c.copyMemory(n, o.Place)
			if err != nil {
				return err
			}
			full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: mem}
			copyStrided(&full, a, c.pace.halt)
			t.Data = full.Data
		}
		c.outputs[i] = output{t: t}
	}
	if c.pace.stopped.Load() {
		return c.pace.cause(ctx)
	}
	if err := c.commitStates(ctx); err != nil {
		return err
	}
	for i, o := range p.Outputs {
		if o.Place == plan.Retain {
			t := c.outputs[i].t
			t.Shape = slices.Clone(t.Shape)
			c.outputs[i] = output{t: transport.Tensor{DType: t.DType, Shape: t.Shape}, h: c.s.keep(t)}
			c.keeping -= int64(len(t.Data)) + keptHead
		}
	}
	return nil
}

// mapFrom is the size from which the copy of an output is not the collector's: what
// that gives it may have to fill with zeros first, which nothing stops.
const mapFrom = 64 << 10

// copyMemory is memory for the copy of an output: until Release, or for as long as
// the session keeps it.
func (c *Call) copyMemory(n int, place plan.Place) ([]byte, error) {
	if place == plan.Retain || n < mapFrom {
		return make([]byte, n), nil
	}
	mem, err := memory.Map(n)
	if err != nil {
		return nil, noMemory(n, err)
	}
	c.copies = append(c.copies, mem)
	return mem, nil
}

// commitStates gives the states their new values. Those that are copied are lost
// when ctx ends in between.
func (c *Call) commitStates(ctx context.Context) error {
	b, p := c.b, c.b.prog.plan
	for i := range p.States {
		d := &p.States[i]
		st := b.states[i]
		if d.Mode == plan.StateReplace {
			a := &b.arrays[d.Out]
			n := a.Len() * a.DType.Size()
			if n > len(st.mem) {
				return fmt.Errorf("%w: state %q has %d bytes, needs %d", transport.ErrInternal, d.Name, len(st.mem), n)
			}
			full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: st.mem}
			if copyStrided(&full, a, c.pace.halt); c.pace.stopped.Load() {
				c.loseReplaced(i)
				return c.pace.cause(ctx)
			}
		}
	}
	for i := range p.States {
		d, st := &p.States[i], b.states[i]
		copy(st.shape, b.dims[b.prog.places[d.Out].shape])
	}
	return nil
}

// loseReplaced marks the first states, up to the one whose copy was cut short, as
// lost where they have new values: the run did not succeed.
func (c *Call) loseReplaced(last int) {
	for i := range last + 1 {
		if c.b.prog.plan.States[i].Mode == plan.StateReplace {
			c.b.states[i].lost = true
		}
	}
}

// Output is output i of a finished run: a view valid until Release, or the
// handle of a kept value.
func (c *Call) Output(i int) (transport.Tensor, transport.Handle) {
	return c.outputs[i].t, c.outputs[i].h
}
