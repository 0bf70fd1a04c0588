package onnx

import (
	"fmt"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// call is a node that is imported. The first error of its methods sticks to err,
// after which they return zero values.
type call struct {
	im    *importer
	s     *scope
	n     *onnxfile.Node
	opset int64
	in    []*value // nil for inputs that are left out
	err   error
}

// handler imports a node: it returns its outputs, nil for those that it does not
// have.
type handler func(c *call) []*value

// one makes a handler of a function for operators of one output.
func one(f func(c *call) *lazy.Tensor) handler {
	return func(c *call) []*value {
		t := f(c)
		if t == nil && c.err == nil {
			c.fail(refusedf("nothing computed"))
		}
		return []*value{{t: t}}
	}
}

func (c *call) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *call) failf(format string, args ...any) { c.fail(fmt.Errorf(format, args...)) }

// has reports whether input i is there.
func (c *call) has(i int) bool { return i < len(c.in) && c.in[i] != nil }

// value is input i.
func (c *call) value(i int) *value {
	if !c.has(i) {
		c.fail(fmt.Errorf("%w: its input %d is missing", ErrMalformed, i))
		return &value{}
	}
	return c.in[i]
}

// t is input i as a tensor of the program.
func (c *call) t(i int) *lazy.Tensor {
	v := c.value(i)
	if c.err != nil {
		return nil
	}
	t, err := c.im.tensor(v)
	if err != nil {
		c.fail(err)
		return nil
	}
	return t
}

// parameter is input i of a layer: content of the file becomes a weight.
func (c *call) parameter(i int, lifted bool) *lazy.Tensor {
	v := c.value(i)
	if c.err != nil || v.raw == nil || v.isSeq {
		return c.t(i)
	}
	if dt, err := computed(v.raw.Type); err != nil || dt != plan.F32 {
		return c.t(i)
	}
	t, err := c.im.tensor(&value{name: v.name, raw: v.raw, as: layerParameter{weight: true, lifted: lifted}})
	if err != nil {
		c.fail(err)
		return nil
	}
	return t
}

// opt is input i, or nil if it is left out.
func (c *call) opt(i int) *lazy.Tensor {
	if !c.has(i) {
		return nil
	}
	return c.t(i)
}

// all are all inputs as tensors.
func (c *call) all() []*lazy.Tensor {
	out := make([]*lazy.Tensor, len(c.in))
	for i := range c.in {
		out[i] = c.t(i)
	}
	return out
}

// spec is the type and shape of input i.
func (c *call) spec(i int) plan.Spec {
	v := c.value(i)
	if c.err != nil {
		return plan.Spec{}
	}
	s, err := c.im.spec(v)
	if err != nil {
		c.fail(err)
	}
	return s
}

func (c *call) shape(i int) plan.Shape { return c.spec(i).Shape }

// rank is that of the first input.
func (c *call) rank() int { return len(c.shape(0)) }

// elems are the elements of input i, which must be known before a run.
func (c *call) elems(i int) *elems {
	v := c.value(i)
	if c.err != nil {
		return &elems{}
	}
	e, err := c.im.elements(v)
	if err != nil {
		c.fail(err)
		return &elems{}
	}
	return e
}

// dims are the elements of input i as dimensions.
func (c *call) dims(i int) []plan.Dim {
	e := c.elems(i)
	out := make([]plan.Dim, len(e.v))
	for j, s := range e.v {
		if s.isF {
			c.failf("%w: element %d of %q is %g", ErrMalformed, j, c.in[i].name, s.f)
		}
		out[j] = s.d
	}
	return out
}

// ints are the elements of input i as numbers.
func (c *call) ints(i int) []int {
	e := c.elems(i)
	out := make([]int, len(e.v))
	for j, s := range e.v {
		n, ok := s.int()
		if !ok {
			c.failf("element %d of %q is %v, wanted is a number", j, c.in[i].name, s.d)
		}
		out[j] = int(n)
	}
	return out
}

// floats are the elements of input i as numbers.
func (c *call) floats(i int) []float64 {
	e := c.elems(i)
	out := make([]float64, len(e.v))
	for j, s := range e.v {
		f, ok := s.float()
		if !ok {
			c.failf("element %d of %q is %v, wanted is a number", j, c.in[i].name, s.d)
		}
		out[j] = f
	}
	return out
}

// scalar is the one element of input i.
func (c *call) scalar(i int) float64 {
	f := c.floats(i)
	if c.err != nil {
		return 0
	}
	if len(f) != 1 {
		c.failf("%w: %q has %d elements, not one", ErrMalformed, c.in[i].name, len(f))
		return 0
	}
	return f[0]
}

// axis counts an axis from the first, of a rank.
func (c *call) axis(axis, rank int) int {
	if axis < 0 {
		axis += rank
	}
	if axis < 0 || axis >= rank {
		c.failf("%w: axis %d of rank %d", ErrMalformed, axis, rank)
		return 0
	}
	return axis
}

// axes counts axes from the first, of a rank, and refuses doubles.
func (c *call) axes(axes []int, rank int) []int {
	out := make([]int, len(axes))
	seen := map[int]bool{}
	for i, a := range axes {
		out[i] = c.axis(a, rank)
		if seen[out[i]] {
			c.failf("%w: axis %d twice", ErrMalformed, a)
		}
		seen[out[i]] = true
	}
	return out
}

// number is a constant of an element type.
func (c *call) number(dt plan.DType, v float64) *lazy.Tensor {
	e := elems{v: []scalar{number(v)}}
	b, ok := e.bytes(dt)
	if !ok {
		c.failf("%v as %v", v, dt)
		return nil
	}
	return c.im.g.ConstBytes(dt, b)
}
