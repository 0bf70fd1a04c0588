package onnx

import (
	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// cast changes the element type. Float16 and others that a program does not compute
// with are refused, except where the value is known.
func cast(c *call) *lazy.Tensor { return c.castAs(onnxfile.DataType(c.attrInt("to", 0))) }

func castLike(c *call) *lazy.Tensor { return c.castAs(c.value(1).elemType()) }

func (c *call) castAs(to onnxfile.DataType) *lazy.Tensor {
	dt, err := computed(to)
	if err == nil && modelType(dt) != to {
		err = refusedf("cast to %v", to)
	}
	if err != nil {
		c.fail(err)
		return nil
	}
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	return castTo(x, dt)
}

// constantNode is a Constant: a tensor, or numbers.
func constantNode(c *call) []*value {
	if a := c.typed("value", onnxfile.AttrTensor); a != nil && a.T != nil {
		return []*value{{raw: a.T, small: true}}
	}
	dtInt, dtFloat := onnxfile.Int64, onnxfile.Float
	switch {
	case c.hasAttr("value_int"):
		return []*value{{elems: &elems{dt: dtInt, v: []scalar{whole(int64(c.attrInt("value_int", 0)))}}}}
	case c.hasAttr("value_float"):
		return []*value{{elems: &elems{dt: dtFloat, v: []scalar{number(c.attrFloat("value_float", 0))}}}}
	case c.hasAttr("value_ints"):
		e := vector(dtInt)
		for _, n := range c.attrInts("value_ints") {
			e.v = append(e.v, whole(int64(n)))
		}
		e.shape = []int{len(e.v)}
		return []*value{{elems: e}}
	case c.hasAttr("value_floats"):
		e := vector(dtFloat)
		for _, f := range c.attrFloats("value_floats") {
			e.v = append(e.v, number(f))
		}
		e.shape = []int{len(e.v)}
		return []*value{{elems: e}}
	}
	c.fail(refusedf("a constant that is neither numbers nor a tensor"))
	return nil
}

// maxFilled bounds the content of all filled weights, which the file does not contain.
const maxFilled = 1 << 30

// constantOfShape is one number everywhere. Where the shape is known it is a weight,
// as models store theirs so to be small.
func constantOfShape(c *call) []*value {
	shape := plan.Shape(c.dims(0))
	if c.err != nil {
		return nil
	}
	fill := &value{elems: vector(onnxfile.Float, whole(0))}
	if a := c.typed("value", onnxfile.AttrTensor); a != nil && a.T != nil {
		fill = &value{name: "value", raw: a.T, small: true}
	}
	t, err := c.im.tensor(fill)
	if err != nil {
		c.fail(err)
		return nil
	}
	t = reshapeTo(t, nil)
	n, ok := constants(shape)
	if !ok || count(n) < maxElems {
		return []*value{{t: expandTo(t, shape)}}
	}
	size := count(n)
	if size > maxFilled || c.im.filled+size*t.DType().Size() > maxFilled {
		c.failf("weights of one number each take more than %d bytes", maxFilled)
		return nil
	}
	c.im.filled += size * t.DType().Size()
	a, err := c.im.evaluate(t, 0)
	if err != nil {
		c.fail(err)
		return nil
	}
	data := make([]byte, size*t.DType().Size())
	for at := copy(data, a.Data); at < len(data); at *= 2 {
		copy(data[at:], data[:at])
	}
	w := transport.Tensor{DType: t.DType(), Shape: n, Data: data}
	return []*value{{name: c.n.Outputs[0], given: &w}}
}

// shapeOf is known element by element: sizes of the program.
func shapeOf(c *call) []*value {
	s := c.shapeRange(c.shape(0))
	e := vector(onnxfile.Int64)
	for _, d := range s {
		e.v = append(e.v, scalar{d: d})
	}
	e.shape = []int{len(e.v)}
	return []*value{{elems: e}}
}

func sizeOf(c *call) []*value {
	n := c.shape(0).Elements()
	if n.Err() != nil {
		c.fail(n.Err())
	}
	return []*value{{elems: &elems{dt: onnxfile.Int64, v: []scalar{{d: n}}}}}
}

// dropout changes nothing outside of training.
func dropout(c *call) []*value {
	x := c.value(0)
	if c.err != nil {
		return nil
	}
	training := c.opset < 7 && !c.attrBool("is_test", false)
	if c.has(2) {
		training = c.scalar(2) != 0
	}
	if training && c.has(1) {
		training = c.scalar(1) != 0 // of the ratio 0 nothing is dropped
	}
	if training {
		c.fail(errTraining)
		return nil
	}
	v := *x
	out := []*value{&v}
	if len(c.n.Outputs) > 1 && c.n.Outputs[1] != "" {
		dt, keep := plan.Bool, 1.0
		if c.opset < 10 {
			dt = plan.F32
		}
		out = append(out, &value{t: expandTo(c.number(dt, keep), c.shape(0))})
	}
	return out
}

// elemsTensor is the tensor of a value that is known element by element.
func (im *importer) elemsTensor(v *value, spec plan.Spec) (*lazy.Tensor, error) {
	e := v.elems
	if b, ok := e.bytes(spec.DType); ok {
		return im.g.ConstBytes(spec.DType, b, e.shape...), nil
	}
	return im.sizesTensor(e, spec.DType)
}

// constantElements are the elements of a value that is a constant of the model. It
// makes no input a constant.
func (im *importer) constantElements(v *value) (*elems, error) {
	if v.elems == nil && (v.raw == nil || v.t != nil && v.t.Kind() == lazy.KindOp) {
		return nil, ErrDataDependent
	}
	return im.elements(v)
}
