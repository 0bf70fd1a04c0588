package onnx

import (
	"math"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// unsqueezed is a shape with axes of size one put in.
func (c *call) unsqueezed(s plan.Shape) plan.Shape {
	axes, ok := c.listOf("axes")
	if !ok {
		c.failf("%w: no axes", ErrMalformed)
		return nil
	}
	if len(axes) > plan.MaxRank {
		c.failf("rank %d, the limit is %d", len(s)+len(axes), plan.MaxRank)
		return nil
	}
	rank := len(s) + len(axes)
	at := c.axes(axes, rank)
	if c.err != nil {
		return nil
	}
	var out plan.Shape
	for i := range rank {
		if slices.Contains(at, i) {
			out = append(out, plan.C(1))
			continue
		}
		out, s = append(out, s[0]), s[1:]
	}
	return out
}

// squeezed is a shape without axes of size one.
func (c *call) squeezed(s plan.Shape) plan.Shape {
	axes, ok := c.listOf("axes")
	if !ok {
		for i, d := range s {
			switch _, isConst := d.Const(); {
			case !isConst:
				c.failf("axis %d has size %v: whether it is 1 is not known", i, d)
			case d.Is(1):
				axes = append(axes, i)
			}
		}
	}
	at := c.axes(axes, len(s))
	out := plan.Shape{}
	for i, d := range s {
		if !slices.Contains(at, i) {
			out = append(out, d)
		} else if !d.Is(1) {
			c.failf("axis %d has size %v, not 1", i, d)
		}
	}
	return out
}

// reshapedTo is the shape that Reshape gives to a tensor of shape s.
func (c *call) reshapedTo(s plan.Shape) plan.Shape {
	var to []plan.Dim
	if c.hasAttr("shape") {
		for _, n := range c.attrInts("shape") {
			to = append(to, plan.C(n))
		}
	} else {
		to = c.dims(1)
	}
	if c.err != nil {
		return nil
	}
	if len(to) > plan.MaxRank {
		c.failf("rank %d, the limit is %d", len(to), plan.MaxRank)
		return nil
	}
	out := make(plan.Shape, len(to))
	free := -1
	for i, d := range to {
		switch n, _ := d.Const(); {
		case d.Is(0) && !c.attrBool("allowzero", false):
			if i >= len(s) {
				c.failf("%w: it copies axis %d of %v", ErrMalformed, i, s)
				return nil
			}
			out[i] = s[i]
		case n < 0 && n != -1, n == -1 && free >= 0:
			c.failf("%w: reshape to %v", ErrMalformed, plan.Shape(to))
			return nil
		case n == -1:
			free, out[i] = i, plan.C(1)
		default:
			out[i] = d
		}
	}
	if free >= 0 {
		d, ok := quotient(s, out)
		if !ok {
			c.failf("reshape of %v to %v leaves no whole dimension", s, plan.Shape(to))
			return nil
		}
		out[free] = d
	}
	return out
}

// quotient is the number of elements of a divided by that of b. Dimensions that both
// have cancel first, so that a symbol in both is no obstacle.
func quotient(a, b plan.Shape) (plan.Dim, bool) {
	a, b = slices.Clone(a), slices.Clone(b)
	for i := 0; i < len(b); i++ {
		if j := slices.IndexFunc(a, b[i].Equal); j >= 0 && !b[i].Is(0) {
			a, b = slices.Delete(a, j, j+1), slices.Delete(b, i, i+1)
			i--
		}
	}
	over := b.Elements()
	if over.Is(0) {
		return plan.Dim{}, false
	}
	return a.Elements().Div(over)
}

// flattened is a shape as a matrix.
func (c *call) flattened(s plan.Shape) plan.Shape {
	axis := c.attrInt("axis", 1)
	if axis < 0 {
		axis += len(s)
	}
	if axis < 0 || axis > len(s) {
		c.failf("%w: axis %d of rank %d", ErrMalformed, axis, len(s))
		return nil
	}
	return plan.Shape{s[:axis].Elements(), s[axis:].Elements()}
}

// span is what Slice selects of one axis: start, start+step and so on before stop,
// after it for a negative step.
type span struct {
	axis        int
	start, stop plan.Dim
	step        int
}

// sliceParams are the spans of Slice, within the axes.
func (c *call) sliceParams(s plan.Shape) []span {
	var starts, ends []plan.Dim
	var axes, steps []int
	if c.opset < 10 {
		for _, n := range c.attrInts("starts") {
			starts = append(starts, plan.C(n))
		}
		for _, n := range c.attrInts("ends") {
			ends = append(ends, plan.C(n))
		}
		axes = c.attrInts("axes")
	} else {
		starts, ends = c.dims(1), c.dims(2)
		if c.has(3) {
			axes = c.ints(3)
		}
		if c.has(4) {
			steps = c.ints(4)
		}
	}
	if axes == nil {
		for i := range starts {
			axes = append(axes, i)
		}
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		c.failf("%w: %d starts, %d ends, %d axes, %d steps", ErrMalformed, len(starts), len(ends), len(axes), len(steps))
	}
	axes = c.axes(axes, len(s))
	if c.err != nil {
		return nil
	}
	out := make([]span, len(starts))
	for i, axis := range axes {
		if steps[i] == 0 || steps[i] < -math.MaxInt32 || steps[i] > math.MaxInt32 && steps[i] != math.MaxInt64 {
			c.failf("%w: step %d", ErrMalformed, steps[i])
			return nil
		}
		out[i] = c.span(axis, s[axis], starts[i], ends[i], steps[i])
	}
	return out
}

func (c *call) span(axis int, n, start, end plan.Dim, step int) span {
	lo, hi := plan.C(0), n // bounds of what start and end may be
	if step < 0 {
		lo, hi = plan.C(-1), n.Sub(plan.C(1))
	}
	startLo := plan.C(0)
	s := span{axis: axis, step: step, start: within(fromEnd(start, n), startLo, hi), stop: within(fromEnd(end, n), lo, hi)}
	if d, ok := s.stop.Sub(s.start).Const(); ok && (step > 0 && d < 0 || step < 0 && d > 0) {
		s.stop = s.start // nothing is selected
	}
	return s
}

// fromEnd counts a negative position from the end of an axis.
func fromEnd(p, n plan.Dim) plan.Dim {
	switch k, ok := p.Const(); {
	case ok && k < 0 && k > -plan.MaxDimSize:
		return n.Add(p)
	case ok:
		return p
	case negative(p):
		return n.Add(p)
	}
	return p
}

// negative reports whether a size with symbols counts from the end: a negated sum.
func negative(d plan.Dim) bool { return !nonNegative(d) && nonNegative(d.Scale(-1)) }

// within holds a position to an axis. What a symbol decides is taken as it is: a
// run checks it.
func within(p, lo, hi plan.Dim) plan.Dim {
	k, ok := p.Const()
	switch {
	case ok && k > plan.MaxDimSize:
		return hi
	case ok && k < -plan.MaxDimSize:
		return lo
	case atLeast(p, hi):
		return hi
	case atLeast(lo, p):
		return lo
	}
	return p
}

// splitParams are the axis and the sizes of the parts of Split.
func (c *call) splitParams(s plan.Shape) (int, []plan.Dim) {
	axis := c.axis(c.attrInt("axis", 0), len(s))
	if c.err != nil {
		return 0, nil
	}
	var parts []plan.Dim
	switch {
	case c.hasAttr("split"):
		for _, n := range c.attrInts("split") {
			parts = append(parts, plan.C(n))
		}
	case c.has(1):
		parts = c.dims(1)
	default:
		parts = c.equalParts(s[axis])
	}
	if c.err != nil {
		return 0, nil
	}
	sum := plan.C(0)
	for _, p := range parts {
		sum = sum.Add(p)
	}
	if !sum.Equal(s[axis]) {
		c.failf("%w: parts %v of an axis of size %v", ErrMalformed, plan.Shape(parts), s[axis])
	}
	return axis, parts
}

// equalParts are as many parts as there are outputs; where the axis does not divide,
// the last is smaller (from operator set 18 on).
func (c *call) equalParts(n plan.Dim) []plan.Dim {
	k := c.attrInt("num_outputs", len(c.n.Outputs))
	if k < 1 || k > len(c.n.Outputs) {
		c.failf("%w: %d parts for %d outputs", ErrMalformed, k, len(c.n.Outputs))
		return nil
	}
	if d, ok := n.Div(plan.C(k)); ok {
		return slices.Repeat([]plan.Dim{d}, k)
	}
	size, ok := n.Const()
	each := (size + k - 1) / k
	if !ok || each*(k-1) > size {
		c.failf("an axis of size %v in %d parts", n, k)
		return nil
	}
	return append(slices.Repeat([]plan.Dim{plan.C(each)}, k-1), plan.C(size-each*(k-1)))
}

// shapeRange is what Shape gives of a shape.
func (c *call) shapeRange(s plan.Shape) plan.Shape {
	clamp := func(i int) int {
		if i < 0 {
			i += len(s)
		}
		return min(max(i, 0), len(s))
	}
	start, end := clamp(c.attrInt("start", 0)), clamp(c.attrInt("end", len(s)))
	return s[start:max(start, end)]
}
