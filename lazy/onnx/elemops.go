package onnx

import (
	"slices"

	"github.com/genie-sdk/go/internal/onnxfile"
)

// elemOp evaluates an operator element by element; nil where it cannot, so that
// the program computes it.
type elemOp func(c *call, in []*elems) []*elems

// elemOps are the operators of which exporters make shapes.
var elemOps = map[string]elemOp{
	"Abs": unaryElems(absElem), "Neg": unaryElems(negElem), "Floor": unaryElems(floorElem), "Ceil": unaryElems(ceilElem),
	"Not": unaryElems(notElem), "Sqrt": unaryElems(sqrtElem), "Identity": identityElems, "Cast": castElems,
	"Add": binaryElems(addElem), "Sub": binaryElems(subElem), "Mul": binaryElems(mulElem), "Div": binaryElems(divElem),
	"Mod": binaryElems(modElem), "Min": binaryElems(minElem), "Max": binaryElems(maxElem),
	"Equal": compareElems(equalElem), "Less": compareElems(lessElem), "Greater": compareElems(greaterElem),
	"LessOrEqual": compareElems(lessEqualElem), "GreaterOrEqual": compareElems(greaterEqualElem),
	"And": compareElems(andElem), "Or": compareElems(orElem), "Where": whereElems,
	"Concat": concatElems, "Gather": gatherElems, "Slice": sliceElems, "Split": splitElems,
	"Unsqueeze": unsqueezeElems, "Squeeze": squeezeElems, "Reshape": reshapeElems, "Flatten": flattenElems,
	"Expand": expandElems, "Tile": tileElems, "ConstantOfShape": constantOfShapeElems, "Range": rangeElems,
	"ReduceProd": reduceElems(mulElem), "ReduceSum": reduceElems(addElem), "ReduceMin": reduceElems(minElem), "ReduceMax": reduceElems(maxElem),
}

// foldable are the types of constants that are evaluated when nothing else of a
// node is known element by element: integers, and what a program does not compute.
func foldable(d onnxfile.DataType) bool {
	switch d {
	case onnxfile.Float, onnxfile.Float16, onnxfile.BFloat16, onnxfile.Undefined, onnxfile.String:
		return false
	default:
		return true
	}
}

// fold evaluates a node element by element if its inputs are known so, nil if not.
func (c *call) fold() []*elems {
	if c.n.Domain != "" {
		return nil
	}
	f := elemOps[c.n.OpType]
	if f == nil || len(c.in) == 0 {
		return nil
	}
	in := make([]*elems, len(c.in))
	all := true
	for _, v := range c.in {
		switch {
		case v == nil:
		case v.elems == nil && (v.t != nil || v.raw == nil):
			return nil
		default:
			all = all && (v.elems != nil && v.raw == nil || foldable(v.elemType()))
		}
	}
	one := false // something that only elements say: a size of the program
	for _, v := range c.in {
		one = one || v != nil && v.elems != nil && v.raw == nil
	}
	if !one && !all {
		return nil
	}
	for i, v := range c.in {
		if v == nil {
			continue
		}
		e, err := c.im.elements(v)
		if err != nil {
			return nil
		}
		in[i] = e
	}
	if in[0] == nil {
		return nil // no operator leaves its first operand out
	}
	out := f(c, in)
	for _, e := range out {
		if e != nil {
			c.im.elems += len(e.v)
		}
		if c.im.elems > maxAllElems {
			return nil
		}
		if e == nil || len(e.v) != count(e.shape) || len(e.v) > maxElems || c.err != nil {
			c.err = nil // the operator itself says what is wrong
			return nil
		}
		for _, s := range e.v {
			if s.d.Err() != nil {
				return nil
			}
		}
	}
	return out
}

func identityElems(_ *call, in []*elems) []*elems { return in[:1] }

func unaryElems(f func(dt onnxfile.DataType, a scalar) (scalar, bool)) elemOp {
	return func(_ *call, in []*elems) []*elems {
		out := &elems{dt: in[0].dt, shape: in[0].shape, v: make([]scalar, len(in[0].v))}
		for i, a := range in[0].v {
			s, ok := f(in[0].dt, a)
			if !ok {
				return nil
			}
			out.v[i] = s
		}
		return []*elems{out}
	}
}

// pairFunc computes an element of two of one type.
type pairFunc func(dt onnxfile.DataType, a, b scalar) (scalar, bool)

// binaryElems is an operator of one type, with NumPy broadcasting, over one operand
// or more.
func binaryElems(f pairFunc) elemOp {
	return func(c *call, in []*elems) []*elems {
		out := in[0]
		if len(in) == 1 || c.hasAttr("broadcast") {
			return nil
		}
		for _, b := range in[1:] {
			if out = pairs(out, b, out.dt, f); out == nil {
				return nil
			}
		}
		return []*elems{out}
	}
}

func compareElems(f pairFunc) elemOp {
	return func(c *call, in []*elems) []*elems {
		if len(in) != 2 || c.hasAttr("broadcast") {
			return nil
		}
		out := pairs(in[0], in[1], onnxfile.Bool, f)
		if out == nil {
			return nil
		}
		return []*elems{out}
	}
}

func pairs(a, b *elems, dt onnxfile.DataType, f pairFunc) *elems {
	if a == nil || b == nil || a.dt != b.dt {
		return nil
	}
	shape, ok := broadcastSizes(a.shape, b.shape)
	if !ok || count(shape) > maxElems {
		return nil
	}
	out := &elems{dt: dt, shape: shape, v: make([]scalar, count(shape))}
	at, bt := broadcastIndex(a.shape, shape), broadcastIndex(b.shape, shape)
	for i := range out.v {
		s, ok := f(a.dt, a.v[at(i)], b.v[bt(i)])
		if !ok {
			return nil
		}
		out.v[i] = s
	}
	return out
}

func whereElems(_ *call, in []*elems) []*elems {
	if len(in) != 3 || in[0] == nil || in[1] == nil || in[2] == nil || in[1].dt != in[2].dt {
		return nil
	}
	shape, ok := broadcastSizes(in[0].shape, in[1].shape)
	if ok {
		shape, ok = broadcastSizes(shape, in[2].shape)
	}
	if !ok || count(shape) > maxElems {
		return nil
	}
	out := &elems{dt: in[1].dt, shape: shape, v: make([]scalar, count(shape))}
	ct, at, bt := broadcastIndex(in[0].shape, shape), broadcastIndex(in[1].shape, shape), broadcastIndex(in[2].shape, shape)
	for i := range out.v {
		n, ok := in[0].v[ct(i)].int()
		if !ok {
			return nil
		}
		out.v[i] = in[2].v[bt(i)]
		if n != 0 {
			out.v[i] = in[1].v[at(i)]
		}
	}
	return []*elems{out}
}

// broadcastSizes is NumPy's rule for two shapes.
func broadcastSizes(a, b []int) ([]int, bool) {
	if len(a) < len(b) {
		a, b = b, a
	}
	out := append([]int{}, a...)
	skip := len(a) - len(b)
	for i, n := range b {
		switch {
		case out[skip+i] == 1:
			out[skip+i] = n
		case n != 1 && n != out[skip+i]:
			return nil, false
		}
	}
	return out, true
}

// broadcastIndex gives the element of a tensor of shape from that stands at a
// position of shape to.
func broadcastIndex(from, to []int) func(i int) int {
	skip := len(to) - len(from)
	return func(i int) int {
		at, stride := 0, 1
		for axis, size := range slices.Backward(to) {
			p := i % size
			i /= size
			if axis >= skip {
				if n := from[axis-skip]; n != 1 {
					at += p * stride
				}
				stride *= from[axis-skip]
			}
		}
		return at
	}
}
