package onnx

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// pool2 pools an image [n, c, h, w] over a window of two axes.
type pool2 func(c *call, x *lazy.Tensor, g window) *lazy.Tensor

func maxPool2(c *call, x *lazy.Tensor, g window) *lazy.Tensor {
	x, pad := c.evenPads(x, g, math.Inf(-1))
	o := op.MaxPool2D{Kernel: two(g.kernel), Stride: two(g.stride), Pad: pad, Ceil: g.ceil}
	if two(g.dilation) != [2]int{1, 1} {
		o.Dilation = two(g.dilation)
	}
	return lazy.Apply(o, x)
}

// averagePool2 counts the padding, or does not.
func averagePool2(countPad bool) pool2 {
	return func(_ *call, x *lazy.Tensor, g window) *lazy.Tensor {
		return lazy.Apply(op.AvgPool2D{
			Kernel: two(g.kernel), Stride: two(g.stride), Dilation: two(g.dilation),
			Pad: [4]int{g.before[0], g.before[1], g.after[0], g.after[1]}, CountPad: countPad, Ceil: g.ceil,
		}, x)
	}
}

func two(v []int) [2]int { return [2]int{v[0], v[1]} }

func maxPool(c *call) *lazy.Tensor { return c.pool(maxPool2) }

func averagePool(c *call) *lazy.Tensor {
	return c.pool(averagePool2(c.attrBool("count_include_pad", false)))
}

// pool pools over one, two or three spatial axes. What pools compute is separable: over
// three axes it is a pool of planes, and one of what they give.
func (c *call) pool(f pool2) *lazy.Tensor {
	x := c.t(0)
	if c.err == nil && len(x.Shape()) < 3 {
		c.failf("%w: pool of %v", ErrMalformed, x.Shape())
	}
	if c.err != nil {
		return nil
	}
	g := c.window(nil, x.Shape()[2:])
	if c.err != nil {
		return nil
	}
	return c.pooled(x, g, f)
}

func (c *call) pooled(x *lazy.Tensor, g window, f pool2) *lazy.Tensor {
	s := x.Shape()
	switch len(g.kernel) {
	case 1:
		y := f(c, reshapeTo(x, slices.Insert(slices.Clone(s), 2, plan.C(1))), g.lifted())
		if y.Err() != nil {
			return y
		}
		return reshapeTo(y, slices.Delete(slices.Clone(y.Shape()), 2, 3))
	case 2:
		return f(c, x, g)
	case 3:
		planes := f(c, reshapeTo(x, plan.Shape{s[0], s[1].Mul(s[2]), s[3], s[4]}), g.axes(1, 2))
		if planes.Err() != nil {
			return planes
		}
		h, w := planes.Dim(2), planes.Dim(3)
		y := f(c, reshapeTo(planes, plan.Shape{s[0], s[1], s[2], h.Mul(w)}), g.axes(0))
		if y.Err() != nil {
			return y
		}
		return reshapeTo(y, plan.Shape{s[0], s[1], y.Dim(2), h, w})
	}
	c.failf("a pool over %d axes", len(g.kernel))
	return nil
}

// axes is the window over some of its axes; a second one that is missing has size one.
func (w window) axes(list ...int) window {
	out := window{ceil: w.ceil}
	for _, i := range list {
		out.kernel, out.stride, out.dilation = append(out.kernel, w.kernel[i]), append(out.stride, w.stride[i]), append(out.dilation, w.dilation[i])
		out.before, out.after = append(out.before, w.before[i]), append(out.after, w.after[i])
	}
	if len(list) == 1 {
		out.kernel, out.stride, out.dilation = append(out.kernel, 1), append(out.stride, 1), append(out.dilation, 1)
		out.before, out.after = append(out.before, 0), append(out.after, 0)
	}
	return out
}

// lpPool is the p-norm of each window: the mean of powers, times their number. The
// padding is put in first, so that each window has the same number.
func lpPool(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err == nil && len(x.Shape()) < 3 {
		c.failf("%w: pool of %v", ErrMalformed, x.Shape())
	}
	if c.err != nil {
		return nil
	}
	g := c.window(nil, x.Shape()[2:])
	p := c.attrInt("p", 2)
	if c.err != nil {
		return nil
	}
	before, after := make([]int, len(x.Shape())), make([]int, len(x.Shape()))
	size := 1
	for i, k := range g.kernel {
		size *= k
		before[2+i], after[2+i] = g.before[i], g.after[i]
		if g.ceil {
			n, ok := x.Dim(2 + i).Const()
			if !ok {
				c.failf("ceil_mode of an axis of size %v", x.Dim(2+i))
				return nil
			}
			span := n + g.before[i] + g.after[i] - (k-1)*g.dilation[i] - 1
			if more := span % g.stride[i]; more != 0 {
				after[2+i] += g.stride[i] - more
			}
		}
		g.before[i], g.after[i] = 0, 0
	}
	g.ceil = false
	x = lazy.Pad(lazy.Abs(x), before, after, 0)
	if x.Err() != nil {
		return x
	}
	power, root := func(x *lazy.Tensor) *lazy.Tensor { return x }, func(x *lazy.Tensor) *lazy.Tensor { return x }
	switch p {
	case 1:
	case 2:
		power, root = square, lazy.Sqrt
	default:
		power = func(x *lazy.Tensor) *lazy.Tensor { return lazy.Pow(x, c.num(float64(p))) }
		root = func(x *lazy.Tensor) *lazy.Tensor { return lazy.Pow(x, c.num(1/float64(p))) }
	}
	y := c.pooled(power(x), g, averagePool2(true))
	if y == nil || y.Err() != nil {
		return y
	}
	return root(lazy.Mul(y, c.num(float64(size))))
}

func globalLpPool(c *call) *lazy.Tensor {
	x := c.t(0)
	p := float64(c.attrInt("p", 2))
	if c.err != nil {
		return nil
	}
	axes := from(2, len(x.Shape()))
	if len(axes) == 0 {
		c.failf("%w: pool of %v", ErrMalformed, x.Shape())
		return nil
	}
	sum := lazy.Sum(lazy.Pow(lazy.Abs(x), c.num(p)), axes...)
	return reshapeTo(lazy.Pow(sum, c.num(1/p)), kept(x.Shape(), axes))
}

// convTranspose is the transpose of a convolution over one or two axes.
func convTranspose(c *call) *lazy.Tensor {
	x, w, bias := c.t(0), c.t(1), c.opt(2)
	if c.err != nil {
		return nil
	}
	xs, ws := x.Shape(), w.Shape()
	axes := len(xs) - 2
	kernel, ok := constants(ws[min(2, len(ws)):])
	if axes < 1 || len(ws) != len(xs) || !ok {
		c.failf("transposed convolution of %v with %v", xs, ws)
		return nil
	}
	if axes > 2 {
		c.failf("transposed convolution over %d axes", axes)
		return nil
	}
	kind := c.attrString("auto_pad", "NOTSET")
	g, outPad := c.transposed(kernel, xs[2:], kind)
	if c.err != nil {
		return nil
	}
	if axes == 1 {
		x, w = reshapeTo(x, slices.Insert(slices.Clone(xs), 2, plan.C(1))), reshapeTo(w, slices.Insert(slices.Clone(ws), 2, plan.C(1)))
		g, outPad = g.lifted(), []int{0, outPad[0]}
	}
	in := []*lazy.Tensor{x, w}
	if bias != nil {
		in = append(in, bias)
	}
	y := lazy.Apply(op.ConvTranspose2D{
		Stride: two(g.stride), Dilation: two(g.dilation), OutPad: two(outPad),
		Pad: [4]int{g.before[0], g.before[1], g.after[0], g.after[1]}, Groups: c.attrInt("group", 1),
	}, in...)
	if axes == 2 || y.Err() != nil {
		return y
	}
	return reshapeTo(y, slices.Delete(slices.Clone(y.Shape()), 2, 3))
}

// transposed is the geometry of a transposed convolution, whose padding may follow
// from the size of its output.
func (c *call) transposed(kernel []int, spatial plan.Shape, kind string) (g window, outPad []int) {
	n := len(spatial)
	g = c.windowOf(kernel, n)
	outPad = c.attrInts("output_padding")
	if outPad == nil {
		outPad = make([]int, n)
	}
	size := c.attrInts("output_shape")
	if c.err != nil {
		return g, outPad
	}
	if len(outPad) != n || size != nil && len(size) < n {
		c.failf("%w: output_padding %v, output_shape %v", ErrMalformed, outPad, size)
		return g, outPad
	}
	size = size[max(0, len(size)-n):]
	if kind == "VALID" {
		g.before, g.after = make([]int, n), make([]int, n)
	}
	if len(size) == 0 && kind != "SAME_UPPER" && kind != "SAME_LOWER" {
		return g, outPad
	}
	for i, d := range spatial {
		k, ok := d.Const()
		if !ok {
			c.failf("the padding of an axis of size %v", d)
			return g, outPad
		}
		want := k * g.stride[i]
		if len(size) > 0 {
			want = size[i]
		}
		total := g.stride[i]*(k-1) + outPad[i] + (kernel[i]-1)*g.dilation[i] + 1 - want
		if total < 0 {
			outPad[i], total = outPad[i]-total, 0
		}
		g.before[i], g.after[i] = total-total/2, total/2
		if kind == "SAME_UPPER" {
			g.before[i], g.after[i] = total/2, total-total/2
		}
	}
	return g, outPad
}
