package onnx

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// softmax works along one axis from operator set 13 on; before, x was a matrix of
// the axes before and from the axis on.
func softmax(c *call) *lazy.Tensor { return c.alongAxis(lazy.Softmax) }

func logSoftmax(c *call) *lazy.Tensor { return c.alongAxis(lazy.LogSoftmax) }

func (c *call) alongAxis(f func(x *lazy.Tensor, axis int) *lazy.Tensor) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	if len(s) == 0 {
		return reshapeTo(f(reshapeTo(x, plan.Shape{plan.C(1)}), 0), s)
	}
	if c.opset >= 13 {
		return f(x, c.axis(c.attrInt("axis", -1), len(s)))
	}
	axis := c.axis(c.attrInt("axis", 1), len(s))
	if c.err != nil {
		return nil
	}
	if axis == len(s)-1 {
		return f(x, axis)
	}
	return reshapeTo(f(reshapeTo(x, plan.Shape{s[:axis].Elements(), s[axis:].Elements()}), 1), s)
}

func batchNorm(c *call) *lazy.Tensor {
	x, scale, b, m, v := c.t(0), c.parameter(1, false), c.parameter(2, false), c.parameter(3, false), c.parameter(4, false)
	if c.attrBool("training_mode", false) || c.opset < 7 && !c.attrBool("is_test", false) && len(c.n.Outputs) > 1 {
		c.fail(errTraining)
	}
	if !c.attrBool("spatial", true) {
		c.failf("spatial is 0")
	}
	if c.err != nil {
		return nil
	}
	return lazy.BatchNorm(x, scale, b, m, v, c.attrFloat("epsilon", 1e-5))
}

// moments are the mean of x over axes, and x less it.
func (c *call) moments(x *lazy.Tensor, axes []int) (m, centred, variance *lazy.Tensor) {
	along := kept(x.Shape(), axes)
	m = reshapeTo(lazy.Mean(x, axes...), along)
	centred = lazy.Sub(x, m)
	return m, centred, reshapeTo(lazy.Mean(lazy.Mul(centred, centred), axes...), along)
}

// inverse is 1/sqrt(x+eps).
func (c *call) inverse(x *lazy.Tensor, eps float64) *lazy.Tensor {
	return lazy.Rsqrt(lazy.Add(x, c.num(eps)))
}

// from lists the axes of a rank from one on.
func from(axis, rank int) []int {
	var out []int
	for i := axis; i < rank; i++ {
		out = append(out, i)
	}
	return out
}

// layerNorm normalises the axes from one on. Its further outputs are the mean and
// the inverse standard deviation.
func layerNorm(c *call) []*value {
	x, scale, bias := c.t(0), c.t(1), c.opt(2)
	eps := c.attrFloat("epsilon", 1e-5)
	axis := c.axis(c.attrInt("axis", -1), c.rank())
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	if axis == len(s)-1 && bias != nil && len(c.n.Outputs) == 1 &&
		scale.Shape().Equal(s[axis:]) && bias.Shape().Equal(s[axis:]) {
		return []*value{{t: lazy.LayerNorm(x, scale, bias, eps)}}
	}
	m, centred, variance := c.moments(x, from(axis, len(s)))
	inv := c.inverse(variance, eps)
	y := lazy.Mul(lazy.Mul(centred, inv), scale)
	if bias != nil {
		y = lazy.Add(y, bias)
	}
	return []*value{{t: y}, {t: m}, {t: inv}}
}

func rmsNorm(c *call) *lazy.Tensor {
	x, scale := c.t(0), c.t(1)
	axis := c.axis(c.attrInt("axis", -1), c.rank())
	if c.err != nil {
		return nil
	}
	eps := c.attrFloat("epsilon", 1e-5)
	if axis == len(x.Shape())-1 && scale.Shape().Equal(x.Shape()[axis:]) {
		return lazy.RMSNorm(x, scale, eps)
	}
	axes := from(axis, len(x.Shape()))
	ms := reshapeTo(lazy.Mean(lazy.Mul(x, x), axes...), kept(x.Shape(), axes))
	return lazy.Mul(lazy.Mul(x, c.inverse(ms, eps)), scale)
}

// instanceNorm is a group norm with a group for each channel.
func instanceNorm(c *call) *lazy.Tensor {
	x, scale, b := c.t(0), c.t(1), c.t(2)
	if c.err != nil {
		return nil
	}
	channels, ok := x.Dim(1).Const()
	if !ok || len(x.Shape()) < 3 {
		c.failf("instance norm of %v", x.Shape())
		return nil
	}
	return lazy.Apply(op.GroupNorm{Groups: channels, Eps: c.attrFloat("epsilon", 1e-5)}, x, scale, b)
}

// groupNorm has a scale for each channel from operator set 21 on, and for each group
// before.
func groupNorm(c *call) *lazy.Tensor {
	x, scale, b := c.t(0), c.t(1), c.t(2)
	groups := c.attrInt("num_groups", 0)
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	if len(s) < 2 || groups < 1 {
		c.failf("%w: %d groups of %v", ErrMalformed, groups, s)
		return nil
	}
	each, ok := s[1].Div(plan.C(groups))
	if !ok {
		c.failf("%w: %d groups of %v channels", ErrMalformed, groups, s[1])
		return nil
	}
	if c.opset < 21 {
		spread := func(p *lazy.Tensor) *lazy.Tensor {
			wide := expandTo(reshapeTo(p, plan.Shape{plan.C(groups), plan.C(1)}), plan.Shape{plan.C(groups), each})
			return reshapeTo(wide, plan.Shape{s[1]})
		}
		scale, b = spread(scale), spread(b)
	}
	return lazy.Apply(op.GroupNorm{Groups: groups, Eps: c.attrFloat("epsilon", 1e-5)}, x, scale, b)
}

// lpNorm divides by the norm along an axis; where that is zero the result is zero.
func lpNorm(c *call) *lazy.Tensor {
	x := c.t(0)
	p := c.attrInt("p", 2)
	axis := c.axis(c.attrInt("axis", -1), c.rank())
	if c.err != nil {
		return nil
	}
	var n *lazy.Tensor
	switch p {
	case 1:
		n = lazy.Sum(lazy.Abs(x), axis)
	case 2:
		n = lazy.Sqrt(lazy.Sum(lazy.Mul(x, x), axis))
	default:
		c.failf("%w: p is %d", ErrMalformed, p)
		return nil
	}
	n = reshapeTo(n, kept(x.Shape(), []int{axis}))
	zero := lazy.Equal(n, c.num(0))
	return lazy.Where(zero, c.num(0), lazy.Div(x, lazy.Where(zero, c.num(1), n)))
}

// meanVarianceNorm centres x and divides by its standard deviation, to which the
// definition adds 1e-9.
func meanVarianceNorm(c *call) *lazy.Tensor {
	x := c.t(0)
	axes := c.attrInts("axes")
	if axes == nil {
		axes = []int{0, 2, 3}
	}
	axes = c.axes(axes, c.rank())
	if c.err != nil {
		return nil
	}
	_, centred, variance := c.moments(x, axes)
	return lazy.Div(centred, lazy.Add(lazy.Sqrt(variance), c.num(1e-9)))
}

// lrn divides by a power of the sum of squares over neighbouring channels.
func lrn(c *call) *lazy.Tensor {
	x := c.t(0)
	size := c.attrInt("size", 0)
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	n, ok := 0, false
	if len(s) >= 2 {
		n, ok = s[1].Const()
	}
	if !ok || size < 1 || size > 1<<10 {
		c.failf("local response normalisation of %v over %d channels", s, size)
		return nil
	}
	sq := lazy.Mul(x, x)
	before, after := (size-1)/2, size-1-(size-1)/2
	padded := c.padAxis(sq, 1, before, after, 0)
	var sum *lazy.Tensor
	for i := range size {
		part := lazy.SliceN(padded, 1, i, i+n)
		if sum == nil {
			sum = part
		} else {
			sum = lazy.Add(sum, part)
		}
	}
	alpha, beta, bias := c.attrFloat("alpha", 1e-4), c.attrFloat("beta", 0.75), c.attrFloat("bias", 1)
	base := lazy.Add(lazy.Mul(sum, c.num(alpha/float64(size))), c.num(bias))
	return lazy.Div(x, lazy.Pow(base, c.num(beta)))
}

// padAxis puts a number before and after an axis.
func (c *call) padAxis(x *lazy.Tensor, axis, before, after int, fill float64) *lazy.Tensor {
	var parts []*lazy.Tensor
	add := func(n int) {
		if n > 0 {
			s := slices.Clone(x.Shape())
			s[axis] = plan.C(n)
			parts = append(parts, expandTo(c.number(x.DType(), fill), s))
		}
	}
	add(before)
	parts = append(parts, x)
	add(after)
	if len(parts) == 1 {
		return x
	}
	return lazy.Concat(axis, parts...)
}
