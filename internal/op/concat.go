package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Concat joins its inputs, all of one type, along Axis.
type Concat struct{ Axis int }

// Name is concat.
func (Concat) Name() string { return "concat" }

// Traits are those of a copy, of images too.
func (Concat) Traits() Traits {
	t := moves()
	t.Images = true
	return t
}

// Attrs is the axis.
func (o Concat) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeConcat(r *plan.AttrReader) Op { return Concat{r.Int("axis")} }

// Infer adds the sizes along the axis; the other dimensions must agree.
func (o Concat) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, plan.MaxOpInputs); err != nil {
		return plan.Spec{}, err
	}
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	if err != nil {
		return plan.Spec{}, err
	}
	out := slices.Clone(in[0].Shape)
	for _, s := range in[1:] {
		if s.DType != in[0].DType {
			return plan.Spec{}, dtypeErr("concat of %v and %v", in[0].DType, s.DType)
		}
		if len(s.Shape) != len(out) {
			return plan.Spec{}, shapeErr("concat of %v and %v", in[0].Shape, s.Shape)
		}
		for d := range out {
			if d == axis {
				out[d] = out[d].Add(s.Shape[d])
			} else if !out[d].Equal(s.Shape[d]) {
				return plan.Spec{}, shapeErr("concat of %v and %v along axis %d", in[0].Shape, s.Shape, axis)
			}
		}
	}
	return plan.Spec{DType: in[0].DType, Shape: out}, nil
}

// FLOPs is none.
func (Concat) FLOPs([][]int, []int) float64 { return 0 }

// Eval copies the inputs one after the other.
func (o Concat) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(out.Shape))
	if err != nil {
		return err
	}
	at := 0
	for _, a := range in {
		part := *out
		part.Shape = a.Shape
		if off := at * out.Strides[axis] * out.DType.Size(); off < len(out.Data) {
			part.Data = out.Data[off:]
			if err := copyArray(&part, a, h); err != nil {
				return err
			}
		}
		at += a.Shape[axis]
	}
	return nil
}

// Append is [Concat] of carried state and new rows, done in the state's memory:
// In[0] is the state, In[1] the rows. The planner derives it from a concat;
// programs do not capture it.
type Append struct{ Axis int }

// Name is append.
func (Append) Name() string { return "append" }

// Traits are those of a copy. Earlier content stays unchanged.
func (Append) Traits() Traits { return moves() }

// Attrs is the axis that grows.
func (o Append) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeAppend(r *plan.AttrReader) Op { return Append{r.Int("axis")} }

// Infer is concat's.
func (o Append) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	return Concat(o).Infer(in)
}

// FLOPs is none.
func (Append) FLOPs([][]int, []int) float64 { return 0 }

// Eval is concat's.
func (o Append) Eval(out *Array, in []*Array, h halt.Func) error { return Concat(o).Eval(out, in, h) }

// WriteRows is a cache [..., capacity, ...] with rows [..., n, ...] written
// over it from position pos (i32 or i64, one element) along Axis. Rows that
// would end outside the cache are an error.
type WriteRows struct{ Axis int }

// Name is write_rows.
func (WriteRows) Name() string { return "write_rows" }

// Traits are those of a copy over existing content.
func (WriteRows) Traits() Traits {
	return Traits{Class: ClassCopy, Moves: true, Overwrites: true}
}

// Attrs is the axis.
func (o WriteRows) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeWriteRows(r *plan.AttrReader) Op { return WriteRows{r.Int("axis")} }

// Infer keeps the shape of the cache.
func (o WriteRows) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 3, 3); err != nil {
		return plan.Spec{}, err
	}
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	if err != nil {
		return plan.Spec{}, err
	}
	if in[0].DType != in[1].DType || !in[2].DType.IsInt() {
		return plan.Spec{}, dtypeErr("rows %v into a cache of %v at %v", in[1].DType, in[0].DType, in[2].DType)
	}
	if len(in[1].Shape) != len(in[0].Shape) || slices.ContainsFunc(in[2].Shape, func(d plan.Dim) bool { return !d.Is(1) }) {
		return plan.Spec{}, shapeErr("rows %v into a cache %v at %v", in[1].Shape, in[0].Shape, in[2].Shape)
	}
	for d := range in[0].Shape {
		if d != axis && !in[0].Shape[d].Equal(in[1].Shape[d]) {
			return plan.Spec{}, shapeErr("rows %v into a cache %v along axis %d", in[1].Shape, in[0].Shape, axis)
		}
	}
	return in[0], nil
}

// FLOPs is none.
func (WriteRows) FLOPs([][]int, []int) float64 { return 0 }

// Eval copies the cache and overwrites the rows; out may be the cache itself.
func (o WriteRows) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(out.Shape))
	if err != nil {
		return err
	}
	pos, n := in[2].Int(0), in[1].Shape[axis]
	if pos < 0 || pos > out.Shape[axis]-n {
		return RowsError(n, pos, out.Shape[axis])
	}
	if len(out.Data) > 0 && &out.Data[0] != &in[0].Data[0] {
		if err := copyArray(out, in[0], h); err != nil {
			return err
		}
	}
	part := *out
	part.Shape = in[1].Shape
	if off := pos * out.Strides[axis] * out.DType.Size(); off < len(out.Data) {
		part.Data = out.Data[off:]
		return copyArray(&part, in[1], h)
	}
	return nil
}

// RowsError is the error for n rows from pos on that a cache of size rows has no
// room for.
func RowsError(n, pos, size int) error {
	return shapeErr("%d rows from %d of a cache of %d", n, pos, size)
}
