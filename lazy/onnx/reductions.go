package onnx

import (
	"math"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// reducing is the operand of a reduction and its axes; ok is false where nothing is
// reduced.
func (c *call) reducing() (x *lazy.Tensor, axes []int, ok bool) {
	x = c.t(0)
	if c.err != nil {
		return x, nil, false
	}
	axes, _ = c.listOf("axes")
	if len(axes) == 0 {
		if c.attrBool("noop_with_empty_axes", false) {
			return x, nil, false
		}
		for i := range x.Shape() {
			axes = append(axes, i)
		}
	}
	axes = c.axes(axes, len(x.Shape()))
	return x, axes, c.err == nil
}

// reduced gives the result of a reduction its shape.
func (c *call) reduced(x, r *lazy.Tensor, axes []int) *lazy.Tensor {
	if !c.attrBool("keepdims", true) {
		return r
	}
	return reshapeTo(r, kept(x.Shape(), axes))
}

// reduceKind reduces axes, which are dropped.
func (c *call) reduceKind(kind string, x *lazy.Tensor, axes []int) *lazy.Tensor {
	if len(axes) == 0 {
		return x // a scalar, or no axis at all
	}
	switch kind {
	case "sum":
		return lazy.Sum(x, axes...)
	case "mean":
		return lazy.Mean(x, axes...)
	case "max":
		return lazy.Max(x, axes...)
	case "min":
		return lazy.Min(x, axes...)
	}
	return lazy.Prod(x, axes...)
}

func reduce(kind string) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		x, axes, ok := c.reducing()
		if !ok {
			return x
		}
		dt := x.DType()
		if dt == plan.Bool && (kind == "max" || kind == "min") {
			x = lazy.Cast(x, plan.I32) // of 0 and 1
		}
		return castTo(c.reduced(x, c.emptyReduce(kind, x, axes), axes), dt)
	}
}

// emptyReduce is a reduction that may be over no element: of a maximum and a minimum
// the result is infinite then, which the operators of a plan refuse.
func (c *call) emptyReduce(kind string, x *lazy.Tensor, axes []int) *lazy.Tensor {
	empty := false
	for _, a := range axes {
		empty = empty || x.Dim(a).Is(0)
	}
	if !empty || kind == "sum" || kind == "prod" {
		return c.reduceKind(kind, x, axes)
	}
	if x.DType() != plan.F32 {
		c.failf("the %s of no element of %v", kind, x.DType())
		return nil
	}
	v := map[string]float64{"max": math.Inf(-1), "min": math.Inf(1), "mean": math.NaN()}[kind]
	return expandTo(c.num(v), without(x.Shape(), axes))
}

// reduceOf is a sum of a function of x, followed by another.
func reduceOf(before func(x *lazy.Tensor) *lazy.Tensor, after func(x *lazy.Tensor) *lazy.Tensor) func(c *call) *lazy.Tensor {
	return func(c *call) *lazy.Tensor {
		x, axes, ok := c.reducing()
		if c.err != nil {
			return nil
		}
		r := x
		if before != nil {
			r = before(r)
		}
		if ok {
			r = c.reduceKind("sum", r, axes)
		}
		if after != nil {
			r = after(r)
		}
		if !ok {
			return r
		}
		return c.reduced(x, r, axes)
	}
}

func square(x *lazy.Tensor) *lazy.Tensor { return lazy.Mul(x, x) }

func reduceL1(c *call) *lazy.Tensor        { return reduceOf(lazy.Abs, nil)(c) }
func reduceL2(c *call) *lazy.Tensor        { return reduceOf(square, lazy.Sqrt)(c) }
func reduceSumSquare(c *call) *lazy.Tensor { return reduceOf(square, nil)(c) }
func reduceLogSum(c *call) *lazy.Tensor    { return reduceOf(nil, lazy.Log)(c) }

// reduceLogSumExp takes the maximum out first, so that exp does not overflow.
func reduceLogSumExp(c *call) *lazy.Tensor {
	x, axes, ok := c.reducing()
	if !ok {
		return x
	}
	for _, a := range axes {
		if x.Dim(a).Is(0) {
			return c.reduced(x, expandTo(c.num(math.Inf(-1)), without(x.Shape(), axes)), axes)
		}
	}
	if len(axes) == 0 {
		return x
	}
	// An infinite maximum would make NaN of the difference: it stays in.
	top := lazy.Max(x, axes...)
	top = lazy.Where(lazy.IsInf(top), c.num(0), top)
	r := lazy.Sum(lazy.Exp(lazy.Sub(x, reshapeTo(top, kept(x.Shape(), axes)))), axes...)
	return c.reduced(x, lazy.Add(lazy.Log(r), top), axes)
}
