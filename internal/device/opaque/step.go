package opaque

import (
	"fmt"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// registers are the values inside a group, which have no memory, each with the
// layout that its Layout describes.
type registers map[int][]byte

// group runs a group step by step.
func (r *run) group(i int) error {
	return r.steps(r.prog.Groups[i].Steps, registers{}, r.ctl.Halt)
}

func (r *run) steps(steps []int, regs registers, h halt.Func) error {
	for _, k := range steps {
		if h.Now() {
			return op.ErrHalted
		}
		if r.prog.Res.View[k] {
			continue
		}
		if err := r.step(k, regs, h); err != nil {
			return err
		}
	}
	return nil
}

// step computes one step by its operator's reference.
func (r *run) step(k int, regs registers, h halt.Func) error {
	s, o := &r.prog.Plan().Steps[k], r.prog.Res.Ops[k]
	in := make([]*op.Array, len(s.In))
	for i, v := range s.In {
		var err error
		if in[i], err = r.load(v, regs); err != nil {
			return err
		}
	}
	st := r.prog.StateOf(s.Out)
	switch o := o.(type) {
	case op.Append:
		if st >= 0 {
			return r.appendRows(st, o.Axis, s.Out, in[0].Shape[o.Axis], in[1], h)
		}
	case op.WriteRows:
		if st >= 0 {
			return r.writeRows(o, s.Out, in, h)
		}
	}
	out := op.NewArray(r.prog.Plan().Values[s.Out].Spec.DType, r.bound.Shape(s.Out)...)
	if out.Len() == 0 {
		return nil
	}
	for i := range out.Data {
		out.Data[i] = 0xff // makes an element visible that a reference does not write
	}
	if err := o.Eval(out, in, h); err != nil {
		return err
	}
	return r.store(s.Out, out, regs)
}

// load is a value in memory of this process.
func (r *run) load(v int, regs registers) (*op.Array, error) {
	b, p := r.bound, &r.prog.Places[v]
	base := int(p.Base)
	a := &op.Array{DType: r.prog.Plan().Values[v].Spec.DType, Shape: b.Shape(v), Strides: b.Strides(v)}
	if a.Len() == 0 {
		return a, nil
	}
	if i := int(r.prog.Places[base].State); i >= 0 && len(r.place.States[i].Buffers) > 1 {
		return r.gather(i, v, a)
	}
	raw, err := r.memory(base, regs)
	if err != nil {
		return nil, err
	}
	off := b.Dims[p.Offset][0]
	last := off
	for d, n := range a.Shape {
		last += (n - 1) * a.Strides[d]
	}
	size := a.DType.Size()
	if (last+1)*size > len(raw) {
		return nil, fmt.Errorf("%w: value %d reaches element %d of %d bytes", transport.ErrInternal, v, last, len(raw))
	}
	a.Data = raw[off*size:]
	return a, nil
}

// memory is the content of a value with its own memory, in one piece.
func (r *run) memory(base int, regs registers) ([]byte, error) {
	if raw, ok := regs[base]; ok {
		return raw, nil
	}
	p, n := &r.prog.Places[base], r.bound.Bytes(base)
	arena := r.place.Arena.(*buffer)
	switch {
	case p.State >= 0:
		page := r.place.States[p.State].Buffers[0].(*buffer)
		return r.d.memory.read(page, 0, page.n)
	case p.Kind == plan.KindWeight:
		return r.weights[base].content()
	case p.Kind == plan.KindTemp:
		x := r.bound.Buffers[p.Buffer]
		return r.d.memory.read(arena, x.Off, x.Size)
	}
	if i := r.input(base); i >= 0 && r.place.Inputs[i].Buffer != nil {
		return r.d.memory.read(r.place.Inputs[i].Buffer.(*buffer), 0, n)
	}
	at := r.bound.Workspaces[0].Off
	var raw []byte
	err := r.brought(func(v, off, n int) (err error) {
		if v == base {
			raw, err = r.d.memory.read(arena, at+off, n)
		}
		return err
	})
	return raw, err
}

// store writes the result of a step to the value's memory.
func (r *run) store(v int, out *op.Array, regs registers) error {
	laid := &op.Array{DType: out.DType, Shape: out.Shape, Strides: r.bound.Strides(v), Data: make([]byte, len(out.Data))}
	move(laid, out, out.Shape, nil)
	p := &r.prog.Places[v]
	if int(p.Base) != v {
		return fmt.Errorf("%w: a step computes value %d, which lies in the memory of another", transport.ErrInternal, v)
	}
	if p.Buffer == plan.NoBuffer {
		regs[v] = laid.Data
		return nil
	}
	return r.d.memory.write(r.place.Arena.(*buffer), r.bound.Buffers[p.Buffer].Off, laid.Data)
}
