package onnx

import (
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
)

func castElems(c *call, in []*elems) []*elems {
	to := onnxfile.DataType(c.attrInt("to", 0))
	out := &elems{dt: to, shape: in[0].shape, v: make([]scalar, len(in[0].v))}
	for i, a := range in[0].v {
		s, ok := castElem(to, a)
		if !ok {
			return nil
		}
		out.v[i] = s
	}
	return []*elems{out}
}

func concatElems(c *call, in []*elems) []*elems {
	first := in[0]
	axis := c.axis(c.attrInt("axis", 1), len(first.shape))
	if c.err != nil {
		return nil
	}
	shape := slices.Clone(first.shape)
	shape[axis] = 0
	for _, e := range in {
		if e == nil || e.dt != first.dt || len(e.shape) != len(shape) {
			return nil
		}
		for a, n := range e.shape {
			if a != axis && n != shape[a] {
				return nil
			}
		}
		shape[axis] += e.shape[axis]
	}
	if count(shape) > maxElems {
		return nil
	}
	out := &elems{dt: first.dt, shape: shape, v: make([]scalar, 0, count(shape))}
	for o := range count(shape[:axis]) {
		for _, e := range in {
			n := count(e.shape[axis:])
			out.v = append(out.v, e.v[o*n:(o+1)*n]...)
		}
	}
	return []*elems{out}
}

func gatherElems(c *call, in []*elems) []*elems {
	if len(in) != 2 || in[0] == nil || in[1] == nil {
		return nil
	}
	x, at := in[0], in[1]
	axis := c.axis(c.attrInt("axis", 0), len(x.shape))
	if c.err != nil {
		return nil
	}
	index := make([]int, len(at.v))
	for i, s := range at.v {
		n, ok := s.int()
		if n < 0 {
			n += int64(x.shape[axis])
		}
		if !ok || n < 0 || n >= int64(x.shape[axis]) {
			return nil
		}
		index[i] = int(n)
	}
	shape := slices.Concat(x.shape[:axis], at.shape, x.shape[axis+1:])
	if count(shape) > maxElems {
		return nil
	}
	return []*elems{pick(x, axis, index, shape)}
}

// pick selects positions along an axis; the result has the given shape.
func pick(x *elems, axis int, index, shape []int) *elems {
	out := &elems{dt: x.dt, shape: shape}
	inner := count(x.shape[axis+1:])
	for o := range count(x.shape[:axis]) {
		for _, i := range index {
			from := (o*x.shape[axis] + i) * inner
			out.v = append(out.v, x.v[from:from+inner]...)
		}
	}
	return out
}

func sliceElems(c *call, in []*elems) []*elems {
	x := in[0]
	p := c.sliceParams(static(x.shape))
	if c.err != nil {
		return nil
	}
	for _, s := range p {
		start, ok1 := s.start.Const()
		stop, ok2 := s.stop.Const()
		if !ok1 || !ok2 {
			return nil
		}
		var index []int
		for i := start; s.step > 0 && i < stop || s.step < 0 && i > stop; i += s.step {
			index = append(index, i)
		}
		shape := slices.Clone(x.shape)
		shape[s.axis] = len(index)
		x = pick(x, s.axis, index, shape)
	}
	return []*elems{x}
}

func splitElems(c *call, in []*elems) []*elems {
	x := in[0]
	axis, parts := c.splitParams(static(x.shape))
	if c.err != nil {
		return nil
	}
	var out []*elems
	at := 0
	for _, p := range parts {
		n, ok := p.Const()
		if !ok || at+n > x.shape[axis] {
			return nil
		}
		index := make([]int, n)
		for i := range index {
			index[i] = at + i
		}
		shape := slices.Clone(x.shape)
		shape[axis] = n
		out = append(out, pick(x, axis, index, shape))
		at += n
	}
	return out
}

// reshaped are the elements of a tensor in another shape.
func reshaped(x *elems, shape []int) []*elems {
	if count(shape) != len(x.v) {
		return nil
	}
	return []*elems{{dt: x.dt, shape: shape, v: x.v}}
}

func unsqueezeElems(c *call, in []*elems) []*elems {
	s, ok := constants(c.unsqueezed(static(in[0].shape)))
	if c.err != nil || !ok {
		return nil
	}
	return reshaped(in[0], s)
}

func squeezeElems(c *call, in []*elems) []*elems {
	s, ok := constants(c.squeezed(static(in[0].shape)))
	if c.err != nil || !ok {
		return nil
	}
	return reshaped(in[0], s)
}

func reshapeElems(c *call, in []*elems) []*elems {
	s, ok := constants(c.reshapedTo(static(in[0].shape)))
	if c.err != nil || !ok {
		return nil
	}
	return reshaped(in[0], s)
}

func flattenElems(c *call, in []*elems) []*elems {
	s, ok := constants(c.flattened(static(in[0].shape)))
	if c.err != nil || !ok {
		return nil
	}
	return reshaped(in[0], s)
}

func expandElems(c *call, in []*elems) []*elems {
	if len(in) != 2 || in[1] == nil {
		return nil
	}
	to, ok := constants(c.dims(1))
	if c.err != nil || !ok {
		return nil
	}
	shape, ok := broadcastSizes(in[0].shape, to)
	if !ok || count(shape) > maxElems {
		return nil
	}
	at := broadcastIndex(in[0].shape, shape)
	out := &elems{dt: in[0].dt, shape: shape, v: make([]scalar, count(shape))}
	for i := range out.v {
		out.v[i] = in[0].v[at(i)]
	}
	return []*elems{out}
}

func tileElems(_ *call, in []*elems) []*elems {
	if len(in) != 2 || in[1] == nil || len(in[1].v) != len(in[0].shape) {
		return nil
	}
	x := in[0]
	for axis, s := range in[1].v {
		n, ok := s.int()
		if !ok || n < 0 || n > maxElems || int64(len(x.v))*n > maxElems {
			return nil
		}
		var index []int
		for range n {
			for i := range x.shape[axis] {
				index = append(index, i)
			}
		}
		shape := slices.Clone(x.shape)
		shape[axis] = len(index)
		x = pick(x, axis, index, shape)
	}
	return []*elems{x}
}

// constantOfShapeElems are integers, of which exporters make shapes; floats are
// tensors of the program.
func constantOfShapeElems(c *call, _ []*elems) []*elems {
	shape, ok := constants(c.dims(0))
	if c.err != nil || !ok || count(shape) > maxElems {
		return nil
	}
	fill := vector(onnxfile.Float, whole(0))
	if a := c.typed("value", onnxfile.AttrTensor); a != nil && a.T != nil {
		e, err := c.im.fileElements(&value{name: "value", raw: a.T}, []int{1})
		if err != nil {
			return nil
		}
		fill = e
	}
	if !foldable(fill.dt) {
		return nil
	}
	out := &elems{dt: fill.dt, shape: shape, v: make([]scalar, count(shape))}
	for i := range out.v {
		out.v[i] = fill.v[0]
	}
	return []*elems{out}
}

func rangeElems(_ *call, in []*elems) []*elems {
	if len(in) != 3 || in[0] == nil || in[1] == nil || in[2] == nil || isFloat(in[0].dt) {
		return nil
	}
	var n [3]int64
	for i, e := range in {
		if len(e.v) != 1 {
			return nil
		}
		v, ok := e.v[0].int()
		if !ok {
			return nil
		}
		n[i] = v
	}
	if n[2] == 0 || n[1]-n[0] > 1<<40 || n[0]-n[1] > 1<<40 {
		return nil
	}
	out := &elems{dt: in[0].dt}
	for v := n[0]; n[2] > 0 && v < n[1] || n[2] < 0 && v > n[1]; v += n[2] {
		if len(out.v) == maxElems {
			return nil
		}
		out.v = append(out.v, whole(v))
	}
	out.shape = []int{len(out.v)}
	return []*elems{out}
}

// reduceElems reduces a vector to one element.
func reduceElems(f pairFunc) elemOp {
	return func(c *call, in []*elems) []*elems {
		x := in[0]
		if len(x.shape) > 1 || len(x.v) == 0 {
			return nil
		}
		if axes, ok := c.listOf("axes"); ok && len(axes) == 0 && c.attrBool("noop_with_empty_axes", false) {
			return in[:1]
		}
		sum := x.v[0]
		for _, s := range x.v[1:] {
			var ok bool
			if sum, ok = f(x.dt, sum, s); !ok {
				return nil
			}
		}
		out := &elems{dt: x.dt, v: []scalar{sum}}
		if c.attrBool("keepdims", true) && len(x.shape) == 1 {
			out.shape = []int{1}
		}
		return []*elems{out}
	}
}
