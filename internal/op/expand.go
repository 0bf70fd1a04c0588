package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Expand repeats its input, of any type, along new leading axes and axes of
// size one, by the rules of NumPy broadcasting.
type Expand struct{ Shape plan.Shape }

// Name is expand.
func (Expand) Name() string { return "expand" }

// Traits are those of a view.
func (Expand) Traits() Traits { return views() }

// Attrs is the new shape.
func (o Expand) Attrs() plan.Attrs { return plan.Attrs{plan.Dims("shape", o.Shape...)} }

func decodeExpand(r *plan.AttrReader) Op { return Expand{r.Dims("shape")} }

// Infer requires that the input broadcasts to the shape.
func (o Expand) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	if len(o.Shape) > plan.MaxRank {
		return plan.Spec{}, shapeErr("expansion to rank %d, the limit is %d", len(o.Shape), plan.MaxRank)
	}
	s, err := broadcast(in[0].Shape, o.Shape)
	if err != nil {
		return plan.Spec{}, err
	}
	if !s.Equal(o.Shape) {
		return plan.Spec{}, shapeErr("expansion of %v to %v", in[0].Shape, o.Shape)
	}
	return plan.Spec{DType: in[0].DType, Shape: slices.Clone(o.Shape)}, nil
}

// FLOPs is none.
func (Expand) FLOPs([][]int, []int) float64 { return 0 }

// Rows are those of the input, or all of an axis that is repeated.
func (o Expand) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	shape := slices.Clone(o.Shape)
	shape[s.Axis] = s.Stop.Sub(s.Start)
	axis := s.Axis - len(out.Shape) + len(in[0].Shape)
	if axis < 0 || !in[0].Shape[axis].Equal(out.Shape[s.Axis]) {
		axis = -1
	}
	return []int{axis}, Expand{Shape: shape}, true
}

// View repeats by strides of zero.
func (o Expand) View(in plan.Spec, l Layout, out plan.Spec) (Layout, bool) {
	more := len(out.Shape) - len(in.Shape)
	if l.Dense && out.Shape[more:].Equal(in.Shape) && out.Shape[:more].Elements().Is(1) {
		r := DenseLayout(out.Shape)
		r.Offset = l.Offset
		return r, true
	}
	r := Layout{Strides: make([]plan.Dim, len(out.Shape)), Offset: l.Offset}
	for i, d := range in.Shape {
		if d.Equal(out.Shape[more+i]) {
			r.Strides[more+i] = l.Strides[i]
		}
	}
	return r, true
}

// Eval copies.
func (Expand) Eval(out *Array, in []*Array, h halt.Func) error {
	v := *in[0]
	v.Shape, v.Strides = out.Shape, in[0].BroadcastStrides(out.Shape)
	return copyArray(out, &v, h)
}
