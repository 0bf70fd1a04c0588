package onnx

import (
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// matMul is NumPy's: a vector on either side has an axis put in, which the result
// loses again.
func matMul(c *call) *lazy.Tensor {
	a, b := c.t(0), c.t(1)
	if c.err != nil {
		return nil
	}
	return c.product(a, b)
}

func (c *call) product(a, b *lazy.Tensor) *lazy.Tensor {
	ra, rb := len(a.Shape()), len(b.Shape())
	if ra == 0 || rb == 0 {
		c.failf("%w: product of %v and %v", ErrMalformed, a.Shape(), b.Shape())
		return nil
	}
	if ra == 1 {
		a = reshapeTo(a, plan.Shape{plan.C(1), a.Dim(0)})
	}
	if rb == 1 {
		b = reshapeTo(b, plan.Shape{b.Dim(0), plan.C(1)})
	}
	y := lazy.MatMul(a, b)
	if y.Err() != nil {
		return y
	}
	s := y.Shape()
	if rb == 1 {
		s = s[:len(s)-1]
	}
	if ra == 1 {
		at := len(s) - 2 // the rows
		if rb == 1 {
			at = len(s) - 1
		}
		s = append(append(plan.Shape{}, s[:at]...), s[at+1:]...)
	}
	return reshapeTo(y, s)
}

// gemm is alpha*a*b + beta*c.
func gemm(c *call) *lazy.Tensor {
	a, b := c.t(0), c.t(1)
	bias := c.opt(2)
	alpha, beta := c.attrFloat("alpha", 1), c.attrFloat("beta", 1)
	var flags []lazy.Flag
	if c.attrBool("transA", false) {
		flags = append(flags, lazy.TransA)
	}
	if c.attrBool("transB", false) {
		flags = append(flags, lazy.TransB)
	}
	if c.err != nil {
		return nil
	}
	y := lazy.MatMul(a, b, flags...)
	if alpha != 1 {
		y = lazy.Mul(y, c.num(alpha))
	}
	if bias == nil || beta == 0 {
		return y
	}
	if beta != 1 {
		bias = lazy.Mul(bias, c.num(beta))
	}
	if y.Err() == nil && len(bias.Shape()) == 1 && bias.Dim(0).Equal(y.Dim(-1)) {
		return lazy.Bias(y, bias)
	}
	return lazy.Add(y, bias)
}
