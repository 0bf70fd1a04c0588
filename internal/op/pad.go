package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// PadMode says what a padding consists of.
type PadMode string

// The modes.
const (
	PadConstant PadMode = "constant" // one value; negative amounts cut elements off
	PadReflect  PadMode = "reflect"  // the elements after the edge one, mirrored: less than the axis has
	PadEdge     PadMode = "edge"     // the edge element
	PadWrap     PadMode = "wrap"     // the elements from the other end, at most the axis
)

// maxPad bounds an amount of padding.
const maxPad = 1 << 24

// Pad adds Before[d] and After[d] elements at the ends of each axis d of an
// input of any type. Value is that of the mode constant: a whole number for
// integers, and not 0 for true.
type Pad struct {
	Mode          PadMode
	Before, After []int
	Value         float64
}

// Name is pad.
func (Pad) Name() string { return "pad" }

// Traits are those of a copy, of images too.
func (Pad) Traits() Traits { return Traits{Class: ClassCopy, Images: true} }

// Attrs are the amounts, the mode and the value.
func (o Pad) Attrs() plan.Attrs {
	return plan.Attrs{plan.Ints("after", o.After), plan.Ints("before", o.Before), plan.Str("mode", string(o.Mode)), plan.Float("value", o.Value)}
}

func decodePad(r *plan.AttrReader) Op {
	return Pad{After: r.Ints("after"), Before: r.Ints("before"), Mode: PadMode(r.Str("mode")), Value: r.Float("value")}
}

// Infer adds the amounts.
func (o Pad) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	x := in[0].Shape
	if len(o.Before) != len(x) || len(o.After) != len(x) {
		return plan.Spec{}, shapeErr("padding %v and %v of %v", o.Before, o.After, x)
	}
	switch o.Mode {
	case PadConstant, PadReflect, PadEdge, PadWrap:
	default:
		return plan.Spec{}, shapeErr("unknown padding %.40q, want constant, reflect, edge or wrap", string(o.Mode))
	}
	if t := in[0].DType; t.IsInt() && !(math.Trunc(o.Value) == o.Value && math.Abs(o.Value) <= 1<<53) {
		return plan.Spec{}, shapeErr("padding of %v with %v", t, o.Value)
	}
	s := make(plan.Shape, len(x))
	for d := range x {
		b, a := o.Before[d], o.After[d]
		if max(b, a) > maxPad || min(b, a) < -maxPad || o.Mode != PadConstant && min(b, a) < 0 {
			return plan.Spec{}, shapeErr("%s padding %v and %v of %v", o.Mode, o.Before, o.After, x)
		}
		s[d] = x[d].Add(plan.C(a + b))
	}
	for _, d := range o.conditions(x) {
		if n, ok := d.Const(); ok && n < 0 {
			return plan.Spec{}, shapeErr("%s padding %v and %v of %v", o.Mode, o.Before, o.After, x)
		}
	}
	return plan.Spec{DType: in[0].DType, Shape: s}, nil
}

// conditions are dimensions that are not negative where the padding exists.
func (o Pad) conditions(x plan.Shape) (dims plan.Shape) {
	for d := range x {
		b, a := o.Before[d], o.After[d]
		switch most := max(b, a); {
		case o.Mode == PadConstant && min(b, a) < 0:
			// Neither end cuts off more than there is.
			dims = append(dims, x[d].Add(plan.C(min(b, 0)+min(a, 0))))
		case most == 0 || o.Mode == PadConstant:
		case o.Mode == PadReflect:
			dims = append(dims, x[d].Sub(plan.C(most+1)))
		case o.Mode == PadEdge:
			dims = append(dims, some(x[d]))
		case o.Mode == PadWrap:
			dims = append(dims, x[d].Sub(plan.C(most)))
		}
	}
	return dims
}

// Conditions are that there are elements to repeat, and to cut off.
func (o Pad) Conditions(in []plan.Spec) (plan.Shape, string) {
	if len(o.Before) != len(in[0].Shape) || len(o.After) != len(in[0].Shape) {
		return nil, ""
	}
	return o.conditions(in[0].Shape), string(o.Mode) + " padding of an axis that is too small"
}

// FLOPs is none.
func (Pad) FLOPs([][]int, []int) float64 { return 0 }

// Source is the position in an axis of n elements for position i of the padded
// one; -1 for the constant.
func (o Pad) Source(i, n int) int {
	switch {
	case i >= 0 && i < n:
		return i
	case o.Mode == PadReflect && i < 0:
		return -i
	case o.Mode == PadReflect:
		return 2*(n-1) - i
	case o.Mode == PadEdge:
		return min(max(i, 0), n-1)
	case o.Mode == PadWrap:
		return (i + n) % n
	}
	return -1
}

// Eval is the reference kernel.
func (o Pad) Eval(out *Array, in []*Array, h halt.Func) error {
	x := in[0]
	size, rank := out.DType.Size(), len(out.Shape)
	value := o.element(out.DType)
	idx := make([]int, rank)
	ask := h.Counter()
	return walk(out.Shape, &ask, rank, func(p []int) {
		off := 0
		for d := range rank {
			i := o.Source(idx[d]-o.Before[d], x.Shape[d])
			if i < 0 || i >= x.Shape[d] {
				off = -1
				break
			}
			off += i * x.Strides[d]
		}
		from := value
		if off >= 0 {
			from = x.Data[off*size : off*size+size]
		}
		copy(out.Data[p[0]*size:p[0]*size+size], from)
		next(idx, out.Shape)
	}, out.Strides)
}

// next advances a position in row-major order.
func next(idx, shape []int) {
	for d := len(shape) - 1; d >= 0; d-- {
		if idx[d]++; idx[d] < shape[d] {
			return
		}
		idx[d] = 0
	}
}

// element is the constant as one element.
func (o Pad) element(t plan.DType) []byte {
	b := make([]byte, t.Size())
	o.Put(b, t)
	return b
}

// Put writes the constant as one element of a type.
func (o Pad) Put(b []byte, t plan.DType) {
	a := Array{DType: t, Data: b}
	switch {
	case t == plan.F32:
		a.F32()[0] = float32(o.Value)
	case t.IsInt():
		a.SetInt(0, int(o.Value))
	case t == plan.Bool:
		a.SetBool(0, o.Value != 0)
	}
}
