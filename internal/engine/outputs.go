package engine

import (
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

// finish makes the run's effects last: new state, kept and downloaded outputs.
func (c *Call) finish() error {
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
			copyStrided(&full, a)
			t.Data = full.Data
		}
		c.outputs[i] = output{t: t}
		if o.Place == plan.Keep {
			t.Shape = slices.Clone(t.Shape)
			c.outputs[i] = output{t: transport.Tensor{DType: t.DType, Shape: t.Shape}, h: c.s.keep(t)}
			c.keeping -= int64(n) + keptHead
		}
	}
	return c.commitStates()
}

func (c *Call) commitStates() error {
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
			copyStrided(&full, a)
		}
		copy(st.shape, b.dims[b.prog.places[d.Out].shape])
	}
	return nil
}

// Output is output i of a finished run: a view valid until Release, or the
// handle of a kept value.
func (c *Call) Output(i int) (transport.Tensor, transport.Handle) {
	return c.outputs[i].t, c.outputs[i].h
}
