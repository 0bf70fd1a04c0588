package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// num is a float constant.
func (c *call) num(v float64) *lazy.Tensor { return c.number(plan.F32, v) }

// positive is where x > 0.
func (c *call) positive(x *lazy.Tensor) *lazy.Tensor { return lazy.Greater(x, c.num(0)) }

// negativePart is min(x, 0).
func (c *call) negativePart(x *lazy.Tensor) *lazy.Tensor { return lazy.Minimum(x, c.num(0)) }

// activation makes a handler of a function of one operand.
func activation(c *call, f func(x *lazy.Tensor) *lazy.Tensor) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	return f(x)
}

// eluOf is x where positive, and alpha*(exp(x/scale)-1) elsewhere.
func (c *call) eluOf(x *lazy.Tensor, alpha, scale float64) *lazy.Tensor {
	low := c.negativePart(x)
	if scale != 1 {
		low = lazy.Div(low, c.num(scale))
	}
	return lazy.Where(c.positive(x), x, lazy.Mul(lazy.Expm1(low), c.num(alpha)))
}

func elu(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return c.eluOf(x, c.attrFloat("alpha", 1), 1) })
}

func celu(c *call) *lazy.Tensor {
	a := c.attrFloat("alpha", 1)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return c.eluOf(x, a, a) })
}

func selu(c *call) *lazy.Tensor {
	alpha, gamma := c.attrFloat("alpha", 1.67326319217681884765625), c.attrFloat("gamma", 1.05070102214813232421875)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(c.eluOf(x, alpha, 1), c.num(gamma)) })
}

func gelu(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		switch kind := c.attrString("approximate", "none"); kind {
		case "none":
			return lazy.GELU(x)
		case "tanh":
			return lazy.GELUTanh(x)
		default:
			c.failf("%w: approximate is %.40q", ErrMalformed, kind)
			return nil
		}
	})
}

// hardSigmoid is max(0, min(1, alpha*x+beta)).
func hardSigmoid(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		return c.hardSigmoidOf(x, c.attrFloat("alpha", 0.2), c.attrFloat("beta", 0.5))
	})
}

func (c *call) hardSigmoidOf(x *lazy.Tensor, alpha, beta float64) *lazy.Tensor {
	return lazy.Clip(lazy.Add(lazy.Mul(x, c.num(alpha)), c.num(beta)), 0, 1)
}

func hardSwish(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, c.hardSigmoidOf(x, 1.0/6, 0.5)) })
}

func leakyRelu(c *call) *lazy.Tensor {
	alpha := c.attrFloat("alpha", 0.01)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Where(lazy.Less(x, c.num(0)), lazy.Mul(x, c.num(alpha)), x)
	})
}

func mish(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, lazy.Tanh(lazy.Softplus(x))) })
}

// prelu has a slope that broadcasts to x; before operator set 7, and in files that
// still write it so, a slope [c] belongs to axis 1.
func prelu(c *call) *lazy.Tensor {
	x, slope := c.t(0), c.t(1)
	if c.err != nil {
		return nil
	}
	s := slope.Shape()
	if c.opset < 7 && len(s) == 1 && len(x.Shape()) > 2 {
		for range len(x.Shape()) - 2 {
			s = append(slices.Clip(s), plan.C(1))
		}
		slope = reshapeTo(slope, s)
	}
	return lazy.Where(lazy.Less(x, c.num(0)), lazy.Mul(x, slope), x)
}

// shrink moves x towards zero by a bias where |x| > lambd, and is zero elsewhere.
func shrink(c *call) *lazy.Tensor {
	lambd, bias := c.attrFloat("lambd", 0.5), c.attrFloat("bias", 0)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		if x.DType() != plan.F32 {
			c.failf("shrink of %v", x.DType())
			return nil
		}
		low := lazy.Where(lazy.Less(x, c.num(-lambd)), lazy.Add(x, c.num(bias)), c.num(0))
		return lazy.Where(lazy.Greater(x, c.num(lambd)), lazy.Sub(x, c.num(bias)), low)
	})
}

func softsign(c *call) *lazy.Tensor {
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor { return lazy.Div(x, lazy.Add(lazy.Abs(x), c.num(1))) })
}

// swish is x*sigmoid(alpha*x).
func swish(c *call) *lazy.Tensor {
	alpha := c.attrFloat("alpha", 1)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		if alpha == 1 {
			return lazy.SiLU(x)
		}
		return lazy.Mul(x, lazy.Sigmoid(lazy.Mul(x, c.num(alpha))))
	})
}

func thresholdedRelu(c *call) *lazy.Tensor {
	alpha := c.attrFloat("alpha", 1)
	return activation(c, func(x *lazy.Tensor) *lazy.Tensor {
		return lazy.Where(lazy.Greater(x, c.num(alpha)), x, c.num(0))
	})
}
