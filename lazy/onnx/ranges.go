package onnx

import (
	"math"

	"github.com/genie-sdk/go/internal/onnxfile"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// counted is the numbers from start to below a limit.
func (c *call) counted(dt plan.DType, start, limit, step scalar) *lazy.Tensor {
	a, ok1 := start.float()
	b, ok2 := limit.float()
	d, ok3 := step.float()
	if ok1 && ok2 && ok3 {
		if d == 0 || math.IsNaN(a+b+d) || math.IsInf(a+b+d, 0) {
			c.failf("%w: a range from %v to %v by %v", ErrMalformed, a, b, d)
			return nil
		}
		return c.numbers(dt, a, d, int(max(math.Ceil((b-a)/d), 0)))
	}
	if start.isF || limit.isF || !step.d.Is(1) {
		c.failf("a range from %v to %v by %v", start.d, limit.d, step.d)
		return nil
	}
	length := limit.d.Sub(start.d)
	if first, ok := start.d.Const(); ok {
		return c.im.g.Range(dt, first, 1, length)
	}
	return lazy.Slice(c.im.g.Range(dt, 0, 1, limit.d), 0, start.d, limit.d)
}

// numbers are n numbers from one on, a step apart.
func (c *call) numbers(dt plan.DType, first, step float64, n int) *lazy.Tensor {
	if first == math.Trunc(first) && step == math.Trunc(step) && math.Abs(first)+math.Abs(step) < 1<<31 {
		return c.im.g.Range(dt, int(first), int(step), n)
	}
	if dt != plan.F32 {
		c.failf("a range of %v from %v by %v", dt, first, step)
		return nil
	}
	y := lazy.Mul(c.im.g.Range(dt, 0, 1, n), c.num(step))
	return lazy.Add(y, c.num(first))
}

// sizesTensor is the tensor of elements of which some are sizes of the program.
func (im *importer) sizesTensor(e *elems, dt plan.DType) (*lazy.Tensor, error) {
	if len(e.v) > plan.MaxOpInputs || dt == plan.Bool {
		return nil, refusedf("%d sizes with symbols as data", len(e.v))
	}
	parts := make([]*lazy.Tensor, len(e.v))
	for i, s := range e.v {
		one := &elems{dt: e.dt, shape: []int{1}, v: []scalar{s}}
		if b, ok := one.bytes(dt); ok {
			parts[i] = im.g.ConstBytes(dt, b, 1)
			continue
		}
		d, sign := s.d, 1.0
		if negative(d) {
			d, sign = d.Scale(-1), -1
		}
		// The last of the numbers up to the size.
		all := im.g.Range(dt, 0, 1, d.Add(plan.C(1)))
		parts[i] = lazy.Slice(all, 0, d, d.Add(plan.C(1)))
		if sign < 0 {
			parts[i] = lazy.Neg(parts[i])
		}
	}
	t := parts[0]
	if len(parts) > 1 {
		t = lazy.Concat(0, parts...)
	}
	return reshapeTo(t, static(e.shape)), t.Err() //nolint:wrapcheck // a [lazy.CaptureError]
}

// eyeLike has ones on a diagonal of a matrix.
func eyeLike(c *call) *lazy.Tensor {
	s := c.shape(0)
	dt := c.spec(0).DType
	if c.hasAttr("dtype") {
		to, err := computed(onnxfile.DataType(c.attrInt("dtype", 0)))
		if err != nil {
			c.fail(err)
		}
		dt = to
	}
	if c.err == nil && len(s) != 2 {
		c.failf("%w: a diagonal of %v", ErrMalformed, s)
	}
	if c.err != nil {
		return nil
	}
	rows := reshapeTo(c.im.g.Range(plan.I64, c.attrInt("k", 0), 1, s[0]), plan.Shape{s[0], plan.C(1)})
	return castTo(lazy.Equal(rows, c.im.g.Range(plan.I64, 0, 1, s[1])), dt)
}
