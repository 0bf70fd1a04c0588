package onnx

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

func concat(c *call) *lazy.Tensor {
	xs := c.all()
	if c.err == nil && len(xs) == 0 {
		c.failf("%w: no operand", ErrMalformed)
	}
	if c.err != nil {
		return nil
	}
	axis := c.axis(c.attrInt("axis", 1), len(xs[0].Shape()))
	for len(xs) > plan.MaxOpInputs {
		xs = append([]*lazy.Tensor{lazy.Concat(axis, xs[:plan.MaxOpInputs]...)}, xs[plan.MaxOpInputs:]...)
	}
	if c.err != nil {
		return nil
	}
	return lazy.Concat(axis, xs...)
}

func transpose(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	perm := c.attrInts("perm")
	if perm == nil {
		for i := range x.Shape() {
			perm = append([]int{i}, perm...)
		}
	}
	return lazy.Transpose(x, perm...)
}

// shaped makes a handler of a function that gives the new shape.
func shaped(c *call, f func(s plan.Shape) plan.Shape) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	s := f(x.Shape())
	if c.err != nil {
		return nil
	}
	return reshapeTo(x, s)
}

func reshape(c *call) *lazy.Tensor   { return shaped(c, c.reshapedTo) }
func flatten(c *call) *lazy.Tensor   { return shaped(c, c.flattened) }
func squeeze(c *call) *lazy.Tensor   { return shaped(c, c.squeezed) }
func unsqueeze(c *call) *lazy.Tensor { return shaped(c, c.unsqueezed) }

// expand broadcasts in both directions: an axis of the shape may be 1 as well.
func expand(c *call) *lazy.Tensor {
	x, to := c.t(0), c.dims(1)
	if c.err != nil {
		return nil
	}
	s := x.Shape()
	out := make(plan.Shape, max(len(s), len(to)))
	for i := range out {
		out[i] = plan.C(1)
		if j := i - len(out) + len(to); j >= 0 {
			out[i] = to[j]
		}
		if j := i - len(out) + len(s); j >= 0 && out[i].Is(1) {
			out[i] = s[j]
		}
	}
	return expandTo(x, out)
}

// slice selects positions of several axes; steps other than one are a gather.
func slice(c *call) *lazy.Tensor {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	spans := c.sliceParams(x.Shape())
	if c.err != nil {
		return nil
	}
	for _, s := range spans {
		switch {
		case s.step == 1 && s.start.Is(0) && s.stop.Equal(x.Dim(s.axis)):
		case s.step == 1:
			x = lazy.Slice(x, s.axis, s.start, s.stop)
		default:
			start, ok1 := s.start.Const()
			stop, ok2 := s.stop.Const()
			if !ok1 || !ok2 {
				c.failf("step %d from %v to %v", s.step, s.start, s.stop)
				return nil
			}
			n := 0
			switch {
			case s.step > 0 && stop > start:
				n = (stop-start-1)/s.step + 1
			case s.step < 0 && stop < start:
				n = (start-stop-1)/-s.step + 1
			}
			x = c.strided(x, s.axis, start, n, s.step)
		}
	}
	return x
}

// selected are positions along an axis.
func (c *call) selected(x *lazy.Tensor, axis int, index []int32) *lazy.Tensor {
	return lazy.Gather(x, c.im.g.ConstInt(index, len(index)), axis)
}

func split(c *call) []*value {
	x := c.t(0)
	if c.err != nil {
		return nil
	}
	axis, parts := c.splitParams(x.Shape())
	if c.err != nil {
		return nil
	}
	var out []*value
	at := plan.C(0)
	for _, p := range parts {
		out = append(out, &value{t: lazy.Slice(x, axis, at, at.Add(p))})
		at = at.Add(p)
	}
	return out
}

// blocks are the sizes of an image [n, c, h, w] and of its blocks.
func (c *call) blocks() (x *lazy.Tensor, s plan.Shape, b plan.Dim) {
	x = c.t(0)
	size := c.attrInt("blocksize", 0)
	if c.err == nil && (len(x.Shape()) != 4 || size < 1) {
		c.failf("%w: blocks of %d of %v", ErrMalformed, size, x.Shape())
	}
	if c.err != nil {
		return x, nil, plan.Dim{}
	}
	return x, x.Shape(), plan.C(size)
}

func depthToSpace(c *call) *lazy.Tensor {
	x, s, b := c.blocks()
	if c.err != nil {
		return nil
	}
	depth, ok := s[1].Div(b.Mul(b))
	if !ok {
		c.failf("%w: %v channels in blocks of %v", ErrMalformed, s[1], b)
		return nil
	}
	split, perm := plan.Shape{s[0], b, b, depth, s[2], s[3]}, []int{0, 3, 4, 1, 5, 2}
	if c.attrString("mode", "DCR") == "CRD" {
		split, perm = plan.Shape{s[0], depth, b, b, s[2], s[3]}, []int{0, 1, 4, 2, 5, 3}
	}
	x = lazy.Transpose(reshapeTo(x, split), perm...)
	return reshapeTo(x, plan.Shape{s[0], depth, s[2].Mul(b), s[3].Mul(b)})
}

func spaceToDepth(c *call) *lazy.Tensor {
	x, s, b := c.blocks()
	if c.err != nil {
		return nil
	}
	h, ok1 := s[2].Div(b)
	w, ok2 := s[3].Div(b)
	if !ok1 || !ok2 {
		c.failf("%w: %v in blocks of %v", ErrMalformed, s, b)
		return nil
	}
	x = lazy.Transpose(reshapeTo(x, plan.Shape{s[0], s[1], h, b, w, b}), 0, 3, 5, 1, 2, 4)
	if c.attrString("mode", "DCR") == "CRD" {
		x = lazy.Transpose(x, 0, 3, 1, 2, 4, 5)
	}
	return reshapeTo(x, plan.Shape{s[0], s[1].Mul(b).Mul(b), h, w})
}

// without removes axes of a shape.
func without(s plan.Shape, axes []int) plan.Shape {
	out := plan.Shape{}
	for i, d := range s {
		if !slices.Contains(axes, i) {
			out = append(out, d)
		}
	}
	return out
}

// kept is a shape whose axes have size one.
func kept(s plan.Shape, axes []int) plan.Shape {
	out := slices.Clone(s)
	for _, a := range axes {
		out[a] = plan.C(1)
	}
	return out
}
