package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// conv convolves over one, two or three spatial axes.
func conv(c *call) *lazy.Tensor {
	x, ws := c.t(0), c.shape(1)
	w := c.parameter(1, len(ws) == 3)
	var bias *lazy.Tensor
	if c.has(2) {
		bias = c.parameter(2, false)
	}
	if c.err != nil {
		return nil
	}
	xs := x.Shape()
	if len(xs) < 3 || len(ws) != len(xs) {
		c.failf("%w: convolution of %v with %v", ErrMalformed, xs, ws)
		return nil
	}
	kernel, ok := constants(ws[2:])
	if !ok {
		c.failf("filters of %v", ws)
		return nil
	}
	g := c.window(kernel, xs[2:])
	groups := c.attrInt("group", 1)
	if c.err != nil {
		return nil
	}
	switch len(kernel) {
	case 1:
		y := c.conv2(reshapeTo(x, slices.Insert(slices.Clone(xs), 2, plan.C(1))), reshapeTo(w, slices.Insert(slices.Clone(ws), 2, plan.C(1))), bias, g.lifted(), groups)
		if y == nil || y.Err() != nil {
			return y
		}
		return reshapeTo(y, slices.Delete(slices.Clone(y.Shape()), 2, 3))
	case 2:
		return c.conv2(x, w, bias, g, groups)
	case 3:
		return c.conv3(x, w, bias, g, groups)
	}
	c.failf("convolution over %d axes", len(kernel))
	return nil
}

// lifted is a window over one axis as one over two, of which the first has size one.
func (w window) lifted() window {
	return window{
		kernel: []int{1, w.kernel[0]}, stride: []int{1, w.stride[0]}, dilation: []int{1, w.dilation[0]},
		before: []int{0, w.before[0]}, after: []int{0, w.after[0]}, ceil: w.ceil,
	}
}

// conv2 pads by itself where the two ends of an axis differ.
func (c *call) conv2(x, w, bias *lazy.Tensor, g window, groups int) *lazy.Tensor {
	x, pad := c.evenPads(x, g, 0)
	return lazy.Conv2D(x, w, bias, lazy.Conv{
		Stride: [2]int{g.stride[0], g.stride[1]}, Pad: pad, Dilation: [2]int{g.dilation[0], g.dilation[1]}, Groups: groups,
	})
}

// conv3 is the sum over the filters' depth of convolutions of planes.
func (c *call) conv3(x, w, bias *lazy.Tensor, g window, groups int) *lazy.Tensor {
	x = c.padAxis(x, 2, g.before[0], g.after[0], 0)
	depth, ok := x.Dim(2).Const()
	out := (depth-(g.kernel[0]-1)*g.dilation[0]-1)/g.stride[0] + 1
	if !ok || out < 1 || g.kernel[0] > maxElems {
		c.failf("convolution over an axis of size %v", x.Dim(2))
		return nil
	}
	plane := window{kernel: g.kernel[1:], stride: g.stride[1:], dilation: g.dilation[1:], before: g.before[1:], after: g.after[1:]}
	var sum *lazy.Tensor
	for k := range g.kernel[0] {
		part := c.strided(x, 2, k*g.dilation[0], out, g.stride[0])
		s := part.Shape()
		if part.Err() != nil {
			return part
		}
		planes := reshapeTo(lazy.Transpose(part, 0, 2, 1, 3, 4), plan.Shape{s[0].Mul(s[2]), s[1], s[3], s[4]})
		wk := lazy.SliceN(w, 2, k, k+1)
		wk = reshapeTo(wk, without(wk.Shape(), []int{2}))
		y := c.conv2(planes, wk, bias, plane, groups)
		bias = nil
		if sum == nil {
			sum = y
		} else {
			sum = lazy.Add(sum, y)
		}
	}
	if sum.Err() != nil {
		return sum
	}
	s := sum.Shape()
	return lazy.Transpose(reshapeTo(sum, plan.Shape{x.Dim(0), plan.C(out), s[1], s[2], s[3]}), 0, 2, 1, 3, 4)
}

// strided are n positions along an axis from one on, a stride apart.
func (c *call) strided(x *lazy.Tensor, axis, start, n, stride int) *lazy.Tensor {
	if n > 0 && (stride == 1 || n == 1) {
		return lazy.SliceN(x, axis, start, start+n)
	}
	if n == 0 {
		start, stride = 0, 1
	}
	return lazy.Gather(x, c.im.g.Range(plan.I64, start, stride, n), axis)
}

// evenPads pads by itself where the two ends of an axis differ.
func (c *call) evenPads(x *lazy.Tensor, g window, fill float64) (y *lazy.Tensor, pad [2]int) {
	before, after := make([]int, 4), make([]int, 4)
	for i := range pad {
		if g.before[i] == g.after[i] {
			pad[i] = g.before[i]
			continue
		}
		before[2+i], after[2+i] = g.before[i], g.after[i]
	}
	if slices.Max(before)+slices.Max(after) == 0 {
		return x, pad
	}
	return lazy.Pad(x, before, after, fill), pad
}
