package onnx

import (
	"math"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func unary(f func(x *lazy.Tensor) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		x := c.t(0)
		if c.err != nil {
			return nil
		}
		return f(x)
	}
}

func identity(c *call) []*value {
	v := *c.value(0)
	return []*value{&v}
}

// relu is that of floats; of integers it is their maximum with zero.
func relu(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	if x.DType() == plan.F32 {
		return lazy.ReLU(x)
	}
	return lazy.Maximum(x, c.number(x.DType(), 0))
}

// operands are the two operands of a broadcasting operator. Before operator set 7
// the second was broadcast along an axis, if the node said so.
func (c *call) operands() (a, b *lazy.Tensor) {
	a, b = c.t(0), c.t(1)
	if c.err != nil || c.opset >= 7 {
		return a, b
	}
	if !c.attrBool("broadcast", false) {
		return a, b
	}
	rank, small := len(a.Shape()), len(b.Shape())
	axis := c.attrInt("axis", rank-small)
	if axis < 0 || axis+small > rank {
		c.failf("%w: axis %d of %v and %v", ErrMalformed, axis, a.Shape(), b.Shape())
		return a, b
	}
	shape := append(plan.Shape{}, b.Shape()...)
	for range rank - small - axis {
		shape = append(shape, plan.C(1))
	}
	return a, reshapeTo(b, shape)
}

// reshapeTo gives a tensor a shape, which it may have already.
func reshapeTo(x *lazy.Tensor, s plan.Shape) *lazy.Tensor {
	if x.Shape().Equal(s) {
		return x
	}
	dims := make([]any, len(s))
	for i, d := range s {
		dims[i] = d
	}
	return lazy.Reshape(x, dims...)
}

// expandTo repeats a tensor to a shape, which it may have already.
func expandTo(x *lazy.Tensor, s plan.Shape) *lazy.Tensor {
	if x.Shape().Equal(s) {
		return x
	}
	dims := make([]any, len(s))
	for i, d := range s {
		dims[i] = d
	}
	return lazy.Expand(x, dims...)
}

func pairwise(f func(a, b *lazy.Tensor) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		a, b := c.operands()
		if c.err != nil {
			return nil
		}
		return f(a, b)
	}
}

// variadic combines one operand or more, from the left.
func variadic(f func(a, b *lazy.Tensor) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		out := c.t(0)
		for i := 1; i < len(c.in); i++ {
			x := c.t(i)
			if c.err != nil {
				return nil
			}
			out = f(out, x)
		}
		return out
	}
}

func mean(c *call) *lazy.Tensor {
	sum := variadic(lazy.Add)(c)
	if c.err != nil {
		return nil
	}
	return lazy.Div(sum, c.number(plan.F32, float64(len(c.in))))
}

func mod(c *call) *lazy.Tensor {
	f := lazy.Mod
	if c.attrBool("fmod", false) {
		f = lazy.Fmod
	}
	return pairwise(f)(c)
}

// pow has a base and an exponent that may be of two types; the result has that of
// the base.
func pow(c *call) *lazy.Tensor {
	a, b := c.operands()
	if c.err != nil {
		return nil
	}
	dt := a.DType()
	if dt == plan.F32 && b.DType() == plan.F32 {
		return lazy.Pow(a, b)
	}
	if dt != plan.F32 {
		c.im.exact(c, a, b)
	}
	return castTo(lazy.Pow(castTo(a, plan.F32), castTo(b, plan.F32)), dt)
}

// exact refuses powers of integers, which float32 computes only up to 2^24, unless
// the exponent is small and known.
func (im *importer) exact(c *call, a, b *lazy.Tensor) {
	if b.DType() == plan.F32 {
		return
	}
	c.failf("powers of %v, which may be larger than float32 holds", a.DType())
}

func castTo(x *lazy.Tensor, dt plan.DType) *lazy.Tensor {
	if x.DType() == dt {
		return x
	}
	return lazy.Cast(x, dt)
}

// equal also compares booleans: where they are not different.
func equal(c *call) *lazy.Tensor {
	a, b := c.operands()
	if c.err != nil {
		return nil
	}
	if a.DType() == plan.Bool && b.DType() == plan.Bool {
		return lazy.Not(lazy.Xor(a, b))
	}
	return lazy.Equal(a, b)
}

func where(c *call) *lazy.Tensor {
	cond, a, b := c.t(0), c.t(1), c.t(2)
	if c.err != nil {
		return nil
	}
	return lazy.Where(cond, a, b)
}

func isInf(c *call) *lazy.Tensor {
	x := c.t(0)
	pos, neg := c.attrBool("detect_positive", true), c.attrBool("detect_negative", true)
	if c.err != nil {
		return nil
	}
	zero := c.number(plan.F32, 0)
	switch {
	case pos && neg:
		return lazy.IsInf(x)
	case pos:
		return lazy.And(lazy.IsInf(x), lazy.Greater(x, zero))
	case neg:
		return lazy.And(lazy.IsInf(x), lazy.Less(x, zero))
	}
	return lazy.Less(lazy.Mul(x, zero), lazy.Mul(x, zero))
}

// clip has bounds as attributes before operator set 11, and as inputs that may be
// left out after it.
func clip(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	lo, hi := math.Inf(-1), math.Inf(1)
	if c.opset < 11 {
		lo, hi = c.attrFloat("min", lo), c.attrFloat("max", hi)
		return lazy.Clip(x, float32(lo), float32(hi))
	}
	known := x.DType() == plan.F32
	for i, to := range map[int]*float64{1: &lo, 2: &hi} {
		if !c.has(i) {
			continue
		}
		e, err := c.im.constantElements(c.in[i])
		if err != nil || len(e.v) != 1 {
			known = false
			continue
		}
		f, ok := e.v[0].float()
		*to, known = f, known && ok
	}
	if known && !math.IsNaN(lo) && !math.IsNaN(hi) {
		return lazy.Clip(x, float32(lo), float32(hi))
	}
	if c.has(1) {
		x = lazy.Maximum(x, c.t(1))
	}
	if c.has(2) && c.err == nil {
		x = lazy.Minimum(x, c.t(2))
	}
	return x
}
