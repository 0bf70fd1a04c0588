package gorgonia

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// declare reads the options about inputs: first the dimensions that are symbols,
// which give them their sizes in the Gorgonia graph, then those computed from
// them.
func (im *importer) declare() error {
	for _, d := range im.opts.inputs {
		if d.node == nil {
			return im.fault(nil, fmt.Errorf("%w: input %.80q is nil", lazy.ErrCapture, d.name))
		}
		if _, ok := im.inputs[d.node]; ok {
			return im.fault(d.node, fmt.Errorf("%w: declared as an input twice", lazy.ErrCapture))
		}
		shape := d.node.Shape()
		if len(d.dims) != 0 && len(d.dims) != len(shape) {
			return im.fault(d.node, fmt.Errorf("%w: %d dimensions for %v", lazy.ErrShape, len(d.dims), shape))
		}
		d.dims = slices.Clone(d.dims)
		for i, dim := range d.dims {
			if s, ok := dim.(string); ok && plan.ValidSymbol(s) {
				dim = plan.Sym(s)
				d.dims[i] = dim
			}
			if s, ok := symbol(dim); ok {
				if old, bound := im.sizes[s]; bound && old != shape[i] {
					return im.fault(d.node, fmt.Errorf("%w: dimension %q is %d here and %d elsewhere", lazy.ErrShape, s, shape[i], old))
				}
				im.sizes[s] = shape[i]
			}
		}
		im.inputs[d.node] = d
	}
	return nil
}

func symbol(dim any) (string, bool) {
	d, ok := dim.(plan.Dim)
	if !ok {
		return "", false
	}
	return d.Symbol()
}

// elementType is the element type that values of a Gorgonia type have here.
func (im *importer) elementType(dt tensor.Dtype) (plan.DType, error) {
	switch dt {
	case tensor.Float32:
		return plan.F32, nil
	case tensor.Float64:
		if im.opts.narrow {
			return plan.F32, nil
		}
		return plan.Invalid, fmt.Errorf("%w: float64; import it as float32 with NarrowFloat64", lazy.ErrDType)
	case tensor.Int, tensor.Int64:
		return plan.I64, nil
	case tensor.Int32:
		return plan.I32, nil
	case tensor.Bool:
		return plan.Bool, nil
	}
	return plan.Invalid, fmt.Errorf("%w: %v", lazy.ErrDType, dt)
}

// checkType refuses a node of an element type that is not imported.
func (im *importer) checkType(n *gorgonia.Node) error {
	_, err := im.elementType(n.Dtype())
	return err
}

// leaf captures an input or a weight.
func (im *importer) leaf(n *gorgonia.Node, d declaredInput) error {
	dt, err := im.elementType(n.Dtype())
	if err != nil {
		return err
	}
	if d.node == nil && n.Value() != nil {
		t, err := im.weight(n, n.Value())
		return im.set(n, t, err)
	}
	name := d.name
	if name == "" {
		if name = ownName(n); name == "" {
			return fmt.Errorf("%w: an input without a name; give it one with WithInput", lazy.ErrCapture)
		}
	}
	dims := d.dims
	if len(dims) == 0 {
		for _, s := range n.Shape() {
			dims = append(dims, s)
		}
	}
	t := im.g.Input(name, dt, dims...)
	if t.Err() != nil {
		return t.Err()
	}
	if got, err := t.Shape().Eval(im.sizes); err != nil || !slices.Equal(got, n.Shape()) {
		return fmt.Errorf("%w: input %q declared as %v, the node is %v", lazy.ErrShape, name, t.Shape(), n.Shape())
	}
	im.tensors[n] = t
	return nil
}

// maxImportedConst is up to how many bytes a constant is part of the plan; a
// larger one is a weight.
const maxImportedConst = 4 << 10

// constant captures a constant node.
func (im *importer) constant(n *gorgonia.Node, _ []*gorgonia.Node, _ *fields) (*lazy.Tensor, error) {
	v := n.Value()
	if v == nil {
		return nil, fmt.Errorf("%w: a constant without a value", lazy.ErrCapture)
	}
	if i, ok := v.Data().(int); ok && len(n.Shape()) == 0 { // a size
		im.counts[n] = plan.C(i)
		return nil, errIsSize
	}
	data, err := im.read(v)
	if err != nil {
		return nil, err
	}
	f, ok := data.([]float32)
	switch {
	case ok && len(f) == 1 && len(n.Shape()) == 0:
		return im.number(f[0]), nil
	case ok && 4*len(f) <= maxImportedConst:
		return im.g.Const(f, v.Shape()...), nil
	}
	return im.weight(n, v)
}

// weight copies a value.
func (im *importer) weight(n *gorgonia.Node, v gorgonia.Value) (*lazy.Tensor, error) {
	if v.Shape().TotalSize() != n.Shape().TotalSize() {
		return nil, fmt.Errorf("%w: a value of shape %v for a node of shape %v", lazy.ErrShape, v.Shape(), n.Shape())
	}
	data, err := im.read(v)
	if err != nil {
		return nil, err
	}
	name := ownName(n)
	if name == "" || len(name) > plan.MaxNameLen || im.names[name] {
		name = fmt.Sprintf("weight.%d", n.ID())
	}
	for im.names[name] {
		name += "'"
	}
	im.names[name] = true
	w := transport.Weight{Name: name, Shape: n.Shape()}
	switch d := data.(type) {
	case []float32:
		return im.g.WeightF32(name, d, n.Shape()...), nil
	case []int64:
		w.Storage = plan.I64
		for _, x := range d {
			w.Data = binary.LittleEndian.AppendUint64(w.Data, uint64(x))
		}
	case []int32:
		w.Storage = plan.I32
		for _, x := range d {
			w.Data = binary.LittleEndian.AppendUint32(w.Data, uint32(x))
		}
	default:
		return nil, fmt.Errorf("%w: a weight of %v", lazy.ErrDType, v.Dtype())
	}
	w.Hash = transport.HashWeight(w.Storage, w.Shape, w.Data)
	return im.g.AddWeight(w), nil
}

// read copies a value's elements, row-major, as []float32, []int64 or []int32.
func (im *importer) read(v gorgonia.Value) (any, error) {
	if _, err := im.elementType(v.Dtype()); err != nil {
		return nil, err
	}
	at, err := positions(v)
	if err != nil {
		return nil, err
	}
	switch d := v.Data().(type) {
	case float32:
		return []float32{d}, nil
	case []float32:
		return gather(d, at, func(x float32) float32 { return x })
	case float64:
		return narrowed([]float64{d})
	case []float64:
		wide, err := gather(d, at, func(x float64) float64 { return x })
		if err != nil {
			return nil, err
		}
		return narrowed(wide)
	case int:
		return []int64{int64(d)}, nil
	case []int:
		return gather(d, at, func(x int) int64 { return int64(x) })
	case int64:
		return []int64{d}, nil
	case []int64:
		return gather(d, at, func(x int64) int64 { return x })
	case int32:
		return []int32{d}, nil
	case []int32:
		return gather(d, at, func(x int32) int32 { return x })
	}
	return nil, fmt.Errorf("%w: a value of %v", lazy.ErrDType, v.Dtype())
}

// narrowed rounds to float32.
func narrowed(wide []float64) ([]float32, error) {
	out := make([]float32, len(wide))
	for i, x := range wide {
		out[i] = float32(x)
		if math.IsInf(float64(out[i]), 0) && !math.IsInf(x, 0) {
			return nil, fmt.Errorf("%w: %g is beyond float32", lazy.ErrDType, x)
		}
	}
	return out, nil
}

// positions are where the elements of a tensor are in its memory, row-major; nil
// if they are there in that order. Slices and transposed tensors are views.
func positions(v gorgonia.Value) ([]int, error) {
	t, ok := v.(tensor.Tensor)
	if !ok {
		return nil, nil
	}
	d, ok := t.(*tensor.Dense)
	if !ok || d.IsMasked() {
		return nil, fmt.Errorf("%w: a value of type %T, want a dense tensor without a mask", lazy.ErrDType, v)
	}
	shape, strides := d.Shape(), d.Strides()
	if len(shape) == 0 || d.DataOrder().IsRowMajor() && d.DataOrder().IsContiguous() && !d.RequiresIterator() {
		return nil, nil
	}
	if len(strides) != len(shape) || shape.TotalSize() > reflect.ValueOf(d.Data()).Len() {
		return nil, fmt.Errorf("%w: a view of shape %v with strides %v", lazy.ErrShape, shape, strides)
	}
	at := []int{0}
	for i, n := range shape {
		next := make([]int, 0, len(at)*n)
		for _, p := range at {
			for j := range n {
				next = append(next, p+j*strides[i])
			}
		}
		at = next
	}
	return at, nil
}

// gather copies the elements at positions, all for nil.
func gather[T, R any](d []T, at []int, to func(T) R) ([]R, error) {
	out := make([]R, 0, max(len(at), len(d)))
	if at == nil {
		for _, x := range d {
			out = append(out, to(x))
		}
		return out, nil
	}
	for _, p := range at {
		if p < 0 || p >= len(d) {
			return nil, fmt.Errorf("%w: a view reads element %d of %d", lazy.ErrShape, p, len(d))
		}
		out = append(out, to(d[p]))
	}
	return out, nil
}
