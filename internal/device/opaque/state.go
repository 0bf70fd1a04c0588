package opaque

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/internal/op"
)

// gather assembles a value in the pages of state i. The value has all axes of
// the state; the axis that grows is the state's own or, as attention reads it,
// the rows.
func (r *run) gather(i, v int, a *op.Array) (*op.Array, error) {
	st, pages := &r.prog.Plan().States[i], &r.place.States[i]
	axis := len(a.Shape) - 2
	if v == st.In || v == st.Out {
		axis = st.Axis
	}
	out := op.NewArray(a.DType, slices.Clone(a.Shape)...)
	for from := 0; from < a.Shape[axis]; from += pages.Rows {
		page := pages.Buffers[from/pages.Rows].(*buffer)
		content, err := r.d.memory.read(page, 0, page.n)
		if err != nil {
			return nil, err
		}
		shape := slices.Clone(a.Shape)
		shape[axis] = min(pages.Rows, a.Shape[axis]-from)
		part := op.Array{DType: a.DType, Strides: out.Strides, Data: out.Data[from*out.Strides[axis]*a.DType.Size():]}
		move(&part, &op.Array{DType: a.DType, Strides: a.Strides, Data: content}, shape, nil)
	}
	return out, nil
}

// appendRows writes rows after those of state i, from position at on.
func (r *run) appendRows(i, axis, v, at int, rows *op.Array, h halt.Func) error {
	pages, strides, size := &r.place.States[i], r.bound.Strides(v), rows.DType.Size()
	if rows.Len() == 0 {
		return nil
	}
	for done := 0; done < rows.Shape[axis]; {
		page := pages.Buffers[(at+done)/pages.Rows].(*buffer)
		to := (at + done) % pages.Rows
		shape := slices.Clone(rows.Shape)
		shape[axis] = min(pages.Rows-to, rows.Shape[axis]-done)
		content, err := r.d.memory.read(page, 0, page.n)
		if err != nil {
			return err
		}
		dst := op.Array{DType: rows.DType, Strides: strides, Data: content[to*strides[axis]*size:]}
		src := op.Array{DType: rows.DType, Strides: rows.Strides, Data: rows.Data[done*rows.Strides[axis]*size:]}
		if !move(&dst, &src, shape, h) {
			return op.ErrHalted
		}
		if err := r.d.memory.write(page, 0, content); err != nil {
			return err
		}
		done += shape[axis]
	}
	return nil
}

// writeRows overwrites rows of a state in place. A stopped write leaves a part
// of them.
func (r *run) writeRows(o op.WriteRows, v int, in []*op.Array, h halt.Func) error {
	page := r.place.States[r.prog.StateOf(v)].Buffers[0].(*buffer)
	if in[0].Len() == 0 {
		return o.Eval(in[0], in, h)
	}
	out := *in[0]
	err := o.Eval(&out, []*op.Array{&out, in[1], in[2]}, h)
	if w := r.d.memory.write(page, 0, out.Data); err == nil {
		err = w
	}
	return err
}
