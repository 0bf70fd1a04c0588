package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/memory"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// finish makes the run's effects permanent: new state, retained and downloaded
// outputs. When ctx ends during the copies there are none, except for the
// states that [Call.commitStates] has begun to write.
func (c *Call) finish(ctx context.Context) error {
	b, p := c.b, c.b.prog.Plan()
	if cap(c.outputs) < len(p.Outputs) {
		c.outputs = make([]output, len(p.Outputs))
	}
	c.outputs = c.outputs[:len(p.Outputs)]
	for i, o := range p.Outputs {
		t := transport.Tensor{DType: p.Values[o.Value].Spec.DType, Shape: b.bound.Shape(o.Value)}
		n := b.bound.Bytes(o.Value)
		if o.Place == plan.Retain {
			mem, err := c.s.on.device.Alloc(ctx, device.UseRetained, n)
			if err != nil {
				return err
			}
			c.outputs[i] = output{t: t, mem: mem, n: n}
			if err := b.run.Copy(o.Value, mem); err != nil {
				return err
			}
			continue
		}
		if t.Data = b.view(o.Value); t.Data == nil {
			mem, err := c.copyMemory(i, n)
			if err != nil {
				return err
			}
			if err := b.run.Read(o.Value, mem); err != nil {
				return err
			}
			t.Data = mem
		}
		c.outputs[i] = output{t: t, n: n}
	}
	if c.pace.Halted() {
		return c.pace.cause(ctx)
	}
	if err := c.commitStates(ctx); err != nil {
		return err
	}
	for i, o := range p.Outputs {
		if o.Place == plan.Retain {
			x := &c.outputs[i]
			x.t.Shape = slices.Clone(x.t.Shape)
			x.h = c.s.keep(x.t, x.mem, x.n)
			x.mem = nil
			c.keeping -= int64(x.n) + keptHead
		}
	}
	return nil
}

// view is the bytes of an output that can stay in place, which excludes the old
// memory of a replaced state.
func (b *binding) view(v int) []byte {
	if i := b.prog.StateOf(v); i >= 0 && b.prog.Plan().States[i].Mode == plan.StateReplace {
		return nil
	}
	return b.run.View(v)
}

// mapFrom is the size from which the copy of an output is not allocated by the
// garbage collector, which may have to fill it with zeros first, without a way
// to stop.
const mapFrom = 64 << 10

// smallOutput is the size up to which a binding retains the memory of an
// output's copy, for its next call: a decode step outputs one token.
const smallOutput = 64

// copyMemory is memory for the copy of output i, until Release.
func (c *Call) copyMemory(i, n int) ([]byte, error) {
	if n <= smallOutput {
		if c.small == nil {
			c.small = make([][smallOutput]byte, len(c.outputs))
		}
		return c.small[i][:n], nil
	}
	if n < mapFrom {
		return make([]byte, n), nil
	}
	mem, err := memory.Map(n)
	if err != nil {
		return nil, noMemory(n, err)
	}
	c.copies = append(c.copies, mem)
	return mem, nil
}

// commitStates gives the states their new values. States that are copied are
// lost when ctx ends in between.
func (c *Call) commitStates(ctx context.Context) error {
	b, p := c.b, c.b.prog.Plan()
	if err := c.setAside(ctx); err != nil {
		return err
	}
	for i := range p.States {
		if d := &p.States[i]; d.Mode == plan.StateReplace && d.Out != d.In {
			err := c.replace(i)
			if err == nil && c.pace.Halted() {
				err = c.pace.cause(ctx)
			}
			if err != nil {
				c.loseReplaced(i)
				return err
			}
		}
	}
	for i := range p.States {
		d, st := &p.States[i], b.states[i]
		copy(st.shape, b.bound.Shape(d.Out))
	}
	return nil
}

// replace copies the new value of state i.
func (c *Call) replace(i int) error {
	d, st := &c.b.prog.Plan().States[i], c.b.states[i]
	if n := c.b.bound.Bytes(d.Out); n > st.size() {
		return fmt.Errorf("%w: state %q has %d bytes, needs %d", transport.ErrInternal, d.Name, st.size(), n)
	}
	if c.b.prog.crossed[i] {
		whole := device.State{DType: st.dtype, Shape: st.shape, Axis: -1}
		return c.s.on.device.CopyRows(st.piece(0), 0, device.Piece{Buffer: c.aside[i]}, 0, 1, whole, c.pace.Halt)
	}
	return c.b.run.Copy(d.Out, st.pages[0].mem)
}

// setAside copies the new values that are stored in memory of states to be
// replaced.
func (c *Call) setAside(ctx context.Context) error {
	for i, crossed := range c.b.prog.crossed {
		if !crossed {
			continue
		}
		d := &c.b.prog.Plan().States[i]
		mem, err := c.s.on.device.Alloc(ctx, device.UseRetained, c.b.bound.Bytes(d.Out))
		if err != nil {
			return err
		}
		if c.aside == nil {
			c.aside = make([]device.Buffer, len(c.b.prog.crossed))
		}
		c.aside[i] = mem
		if err := c.b.run.Copy(d.Out, mem); err != nil {
			return err
		}
	}
	if c.pace.Halted() {
		return c.pace.cause(ctx)
	}
	return nil
}

// loseReplaced marks the first states, up to the one whose copy was
// interrupted, as lost where they have new values: the run did not succeed.
func (c *Call) loseReplaced(last int) {
	for i := range last + 1 {
		if c.b.prog.Plan().States[i].Mode == plan.StateReplace {
			c.b.states[i].lost = true
		}
	}
}

// Output is output i of a finished run: a view valid until Release, or the
// handle of a retained value.
func (c *Call) Output(i int) (transport.Tensor, transport.Handle) {
	return c.outputs[i].t, c.outputs[i].h
}
