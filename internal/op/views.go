package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Identity is its input, of any type.
type Identity struct{}

// Name is identity.
func (Identity) Name() string { return "identity" }

// Traits are those of a view.
func (Identity) Traits() Traits {
	return Traits{Class: ClassCopy, Moves: true, View: true, Aligned: true}
}

// Attrs has none.
func (Identity) Attrs() plan.Attrs { return nil }

// Infer keeps everything.
func (Identity) Infer(in []plan.Spec) (plan.Spec, error) { return Contiguous{}.Infer(in) }

// Rows are those of the input.
func (o Identity) Rows(in []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, true
}

// FLOPs is none.
func (Identity) FLOPs([][]int, []int) float64 { return 0 }

// View keeps the layout.
func (Identity) View(_ plan.Spec, l Layout, _ plan.Spec) (Layout, bool) { return l, true }

// Eval copies.
func (Identity) Eval(out *Array, in []*Array, h halt.Func) error {
	return copyArray(out, in[0], h)
}

// Reshape gives the elements another shape, in row-major order.
type Reshape struct{ Shape plan.Shape }

// Name is reshape.
func (Reshape) Name() string { return "reshape" }

// Traits are those of a view.
func (Reshape) Traits() Traits { return views() }

// Attrs is the new shape.
func (o Reshape) Attrs() plan.Attrs { return plan.Attrs{plan.Dims("shape", o.Shape...)} }

func decodeReshape(r *plan.AttrReader) Op { return Reshape{r.Dims("shape")} }

// Infer requires the same number of elements whatever the symbols are bound
// to.
func (o Reshape) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	if len(o.Shape) > plan.MaxRank {
		return plan.Spec{}, shapeErr("reshape to rank %d, the limit is %d", len(o.Shape), plan.MaxRank)
	}
	from, err := elements(in[0].Shape)
	if err != nil {
		return plan.Spec{}, err
	}
	to, err := elements(o.Shape)
	if err != nil {
		return plan.Spec{}, err
	}
	if !from.Equal(to) {
		return plan.Spec{}, shapeErr("reshape of %v to %v: %v elements to %v", in[0].Shape, o.Shape, from, to)
	}
	return plan.Spec{DType: in[0].DType, Shape: o.Shape}, nil
}

// Rows are those of the input if the axes up to the output's are the same.
func (o Reshape) Rows(in []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	from := in[0].Shape
	if len(from) <= s.Axis || !from[:s.Axis+1].Equal(o.Shape[:s.Axis+1]) {
		return nil, nil, false
	}
	shape := slices.Clone(o.Shape)
	shape[s.Axis] = s.Stop.Sub(s.Start)
	return []int{s.Axis}, Reshape{Shape: shape}, true
}

// FLOPs is none.
func (Reshape) FLOPs([][]int, []int) float64 { return 0 }

// View regroups the strides where the layout allows it.
func (o Reshape) View(in plan.Spec, l Layout, out plan.Spec) (Layout, bool) {
	return reshapeLayout(in.Shape, l, out.Shape)
}

// Eval copies in row-major order.
func (Reshape) Eval(out *Array, in []*Array, h halt.Func) error {
	flat := *out
	flat.Shape, flat.Strides = in[0].Shape, ContiguousStrides(in[0].Shape)
	return copyArray(&flat, in[0], h)
}

// Transpose permutes the axes: output axis i is input axis Perm[i].
type Transpose struct{ Perm []int }

// Name is transpose.
func (Transpose) Name() string { return "transpose" }

// Traits are those of a view.
func (Transpose) Traits() Traits { return views() }

// Attrs is the permutation.
func (o Transpose) Attrs() plan.Attrs { return plan.Attrs{plan.Ints("perm", o.Perm)} }

func decodeTranspose(r *plan.AttrReader) Op { return Transpose{r.Ints("perm")} }

// Infer permutes the shape.
func (o Transpose) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	s := slices.Sorted(slices.Values(o.Perm))
	ok := len(s) == len(in[0].Shape)
	for i, p := range s {
		ok = ok && p == i
	}
	if !ok {
		return plan.Spec{}, shapeErr("transpose of %v by %v, want a permutation of its axes", in[0].Shape, o.Perm)
	}
	out := make(plan.Shape, len(o.Perm))
	for i, p := range o.Perm {
		out[i] = in[0].Shape[p]
	}
	return plan.Spec{DType: in[0].DType, Shape: out}, nil
}

// Rows are those along the axis that becomes the output's.
func (o Transpose) Rows(_ []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	return []int{o.Perm[s.Axis]}, o, true
}

// FLOPs is none.
func (Transpose) FLOPs([][]int, []int) float64 { return 0 }

// View permutes the strides.
func (o Transpose) View(_ plan.Spec, l Layout, _ plan.Spec) (Layout, bool) {
	out := Layout{Strides: make([]plan.Dim, len(o.Perm)), Offset: l.Offset}
	for i, p := range o.Perm {
		out.Strides[i] = l.Strides[p]
	}
	out.Dense = l.Dense && slices.IsSorted(o.Perm)
	return out, true
}

// Eval copies.
func (o Transpose) Eval(out *Array, in []*Array, h halt.Func) error {
	v := *in[0]
	v.Shape, v.Strides = out.Shape, make([]int, len(o.Perm))
	for i, p := range o.Perm {
		v.Strides[i] = in[0].Strides[p]
	}
	return copyArray(out, &v, h)
}

// Slice selects positions Start to Stop (exclusive) along Axis.
type Slice struct {
	Axis        int
	Start, Stop plan.Dim
}

// Name is slice.
func (Slice) Name() string { return "slice" }

// Traits are those of a view.
func (Slice) Traits() Traits { return views() }

// Attrs are the axis and the bounds.
func (o Slice) Attrs() plan.Attrs {
	return plan.Attrs{plan.Int("axis", o.Axis), plan.Dims("start", o.Start), plan.Dims("stop", o.Stop)}
}

func decodeSlice(r *plan.AttrReader) Op {
	return Slice{r.Int("axis"), r.Dim("start"), r.Dim("stop")}
}

// Infer shortens the axis. It checks constant bounds; the others are checked at
// binding.
func (o Slice) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	if err != nil {
		return plan.Spec{}, err
	}
	start, stopOK := o.Start.Const()
	n, nOK := o.Stop.Sub(o.Start).Const()
	left, leftOK := in[0].Shape[axis].Sub(o.Stop).Const()
	if stopOK && start < 0 || nOK && n < 0 || leftOK && left < 0 {
		return plan.Spec{}, shapeErr("slice %v:%v of axis %d of %v", o.Start, o.Stop, axis, in[0].Shape)
	}
	s := slices.Clone(in[0].Shape)
	s[axis] = o.Stop.Sub(o.Start)
	return plan.Spec{DType: in[0].DType, Shape: s}, nil
}

// Conditions are that the bounds are within the axis.
func (o Slice) Conditions(in []plan.Spec) (plan.Shape, string) {
	x := in[0].Shape
	axis, err := normAxis(o.Axis, len(x))
	if err != nil {
		return nil, ""
	}
	return plan.Shape{o.Start, o.Stop.Sub(o.Start), x[axis].Sub(o.Stop)}, "slice outside of an axis"
}

// FLOPs is none.
func (Slice) FLOPs([][]int, []int) float64 { return 0 }

// View moves the offset.
func (o Slice) View(in plan.Spec, l Layout, out plan.Spec) (Layout, bool) {
	axis, err := normAxis(o.Axis, len(in.Shape))
	if err != nil {
		return Layout{}, false
	}
	r := Layout{Strides: l.Strides, Offset: l.Offset.Add(o.Start.Mul(l.Strides[axis]))}
	r.Dense = l.Dense
	if !in.Shape[axis].Equal(out.Shape[axis]) {
		for _, d := range in.Shape[:axis] {
			r.Dense = r.Dense && d.Is(1)
		}
	}
	return r, true
}

// Eval copies. Start must be bound to a constant, as [Bind] does.
func (o Slice) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(out.Shape))
	if err != nil {
		return err
	}
	start, ok := o.Start.Const()
	if !ok || start < 0 || start+out.Shape[axis] > in[0].Shape[axis] {
		return shapeErr("slice at %v of %v", o.Start, in[0].Shape)
	}
	v := *in[0]
	v.Shape = out.Shape
	v.Data = in[0].Data[min(start*in[0].Strides[axis]*v.DType.Size(), len(in[0].Data)):]
	return copyArray(out, &v, h)
}

// Bind replaces the symbols in an operator's attributes by their sizes.
func Bind(o Op, b plan.Bindings) (Op, error) {
	switch o := o.(type) {
	case Slice:
		start, err := o.Start.Eval(b)
		if err != nil {
			return nil, err
		}
		stop, err := o.Stop.Eval(b)
		return Slice{o.Axis, plan.C(start), plan.C(stop)}, err
	case Reshape:
		s, err := o.Shape.Eval(b)
		if err != nil {
			return nil, err
		}
		return Reshape{Static(s)}, nil
	case Expand:
		s, err := o.Shape.Eval(b)
		if err != nil {
			return nil, err
		}
		return Expand{Static(s)}, nil
	case Range:
		return o.bound(b)
	case Resize:
		return o.bound(b)
	}
	return o, nil
}

// Static is the shape with constant dimensions.
func Static(shape []int) plan.Shape {
	s := make(plan.Shape, len(shape))
	for i, n := range shape {
		s[i] = plan.C(n)
	}
	return s
}
