package onnx

import (
	"fmt"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// value is what a name of the model stands for. It has one of the forms below; an
// element-wise known one gets a tensor when an operator needs it.
type value struct {
	name  string
	t     *lazy.Tensor     // of the program
	elems *elems           // known element by element
	raw   *onnxfile.Tensor // content of the model's file
	given *transport.Tensor
	seq   []*value // a sequence of constant length
	isSeq bool
	bad   bool // it depends on a refused node
	small bool // a constant of the model, rather than a weight
	as    layerParameter
}

// layerParameter is how a layer reads content of the file: as a weight, of any size,
// so that it is put into the layout of the layer once. The zero value is for others.
type layerParameter struct {
	weight bool
	lifted bool // filters over one axis, as over two of which the first has size one
}

// spec is the element type and the shape.
func (im *importer) spec(v *value) (plan.Spec, error) {
	switch {
	case v.isSeq:
		return plan.Spec{}, refusedf("%q is a sequence", v.name)
	case v.t != nil:
		return v.t.Spec(), v.t.Err()
	case v.elems != nil:
		dt, err := computed(v.elems.dt)
		return plan.Spec{DType: dt, Shape: static(v.elems.shape)}, err
	case v.given != nil:
		return plan.Spec{DType: v.given.DType, Shape: static(v.given.Shape)}, nil
	case v.raw != nil:
		dt, err := computed(v.raw.Type)
		if err != nil {
			return plan.Spec{}, err
		}
		shape, err := sizes(v.raw.Dims)
		return plan.Spec{DType: dt, Shape: static(shape)}, err
	}
	return plan.Spec{}, fmt.Errorf("%w: value %q is empty", ErrMalformed, v.name)
}

// elemType is the element type in the model.
func (v *value) elemType() onnxfile.DataType {
	switch {
	case v.elems != nil:
		return v.elems.dt
	case v.raw != nil:
		return v.raw.Type
	case v.given != nil:
		return modelType(v.given.DType)
	case v.t != nil:
		return modelType(v.t.DType())
	}
	return onnxfile.Undefined
}

// computed is the element type that a program computes with.
func computed(d onnxfile.DataType) (plan.DType, error) {
	switch d {
	case onnxfile.Float, onnxfile.Float16, onnxfile.BFloat16:
		return plan.F32, nil
	case onnxfile.Int32:
		return plan.I32, nil
	case onnxfile.Int64:
		return plan.I64, nil
	case onnxfile.Bool:
		return plan.Bool, nil
	default:
		return plan.Invalid, refusedf("element type %v", d)
	}
}

// modelType is the element type of a model that a program's stands for.
func modelType(d plan.DType) onnxfile.DataType {
	switch d {
	case plan.F32:
		return onnxfile.Float
	case plan.I32:
		return onnxfile.Int32
	case plan.I64:
		return onnxfile.Int64
	case plan.Bool:
		return onnxfile.Bool
	case plan.F16:
		return onnxfile.Float16
	case plan.BF16:
		return onnxfile.BFloat16
	default:
		return onnxfile.Undefined
	}
}

// stored is the element type that weights of a type are stored as.
func stored(d onnxfile.DataType) (plan.DType, error) {
	switch d {
	case onnxfile.Float16:
		return plan.F16, nil
	case onnxfile.BFloat16:
		return plan.BF16, nil
	default:
		return computed(d)
	}
}

// sizes are the dimensions of a tensor of the file.
func sizes(dims []int64) ([]int, error) {
	if len(dims) > plan.MaxRank {
		return nil, refusedf("rank %d, the limit is %d", len(dims), plan.MaxRank)
	}
	out := make([]int, len(dims))
	for i, d := range dims {
		if d < 0 || d > plan.MaxDimSize {
			return nil, fmt.Errorf("%w: a tensor of shape %d", ErrMalformed, dims)
		}
		out[i] = int(d)
	}
	return out, nil
}

func static(shape []int) plan.Shape {
	s := make(plan.Shape, len(shape))
	for i, n := range shape {
		s[i] = plan.C(n)
	}
	return s
}

// constants are the sizes of a shape without symbols.
func constants(s plan.Shape) ([]int, bool) {
	out := make([]int, len(s))
	for i, d := range s {
		n, ok := d.Const()
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}
