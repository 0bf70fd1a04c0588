package engine

import (
	"context"
	"fmt"
	"slices"

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
			full := op.Array{DType: a.DType, Shape: a.Shape, Strides: op.ContiguousStrides(a.Shape), Data: make([]byte, n)}
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
		if o.Place == plan.Keep {
			t := c.outputs[i].t
			t.Shape = slices.Clone(t.Shape)
			c.outputs[i] = output{t: transport.Tensor{DType: t.DType, Shape: t.Shape}, h: c.s.keep(t)}
			c.keeping -= int64(len(t.Data))
		}
	}
	return nil
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
