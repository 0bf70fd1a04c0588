package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// wrapped is the position of index i on an axis of size n: a negative one counts
// from the end. ok is false outside of the axis.
func wrapped(i, n int) (at int, ok bool) {
	if i < 0 {
		i += n
	}
	return i, i >= 0 && i < n
}

// wantIndex checks the type of indices.
func wantIndex(what string, s plan.Spec) error {
	if !s.DType.IsInt() {
		return dtypeErr("%s with indices of %v, want i32 or i64", what, s.DType)
	}
	return nil
}

// Gather takes positions along an axis: from x [a..., n, b...], of any type, and
// an index [i...], i32 or i64, it takes x[a..., index[i...], b...], which is
// [a..., i..., b...]. A negative index counts from the end; one outside of -n to
// n-1 is an error.
type Gather struct{ Axis int }

// Name is gather.
func (Gather) Name() string { return "gather" }

// Traits are those of a gather.
func (Gather) Traits() Traits { return Traits{Class: ClassGather, Gathers: true} }

// Attrs is the axis.
func (o Gather) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeGather(r *plan.AttrReader) Op { return Gather{r.Int("axis")} }

// Infer replaces the axis by those of the index.
func (o Gather) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	x, idx := in[0].Shape, in[1].Shape
	axis, err := normAxis(o.Axis, len(x))
	if err != nil {
		return plan.Spec{}, err
	}
	s := slices.Concat(x[:axis], idx, x[axis+1:])
	return plan.Spec{DType: in[0].DType, Shape: s}, wantIndex("gather", in[1])
}

// Rows are those of the index, or those of the axes before the index's.
func (o Gather) Rows(in []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	switch {
	case err != nil:
		return nil, nil, false
	case s.Axis < axis: // counted from the end, the axis stays where it is
		return []int{s.Axis, -1}, o, true
	case s.Axis < axis+len(in[1].Shape):
		return []int{-1, s.Axis - axis}, o, true
	}
	return []int{s.Axis - len(in[1].Shape) + 1, -1}, o, true
}

// FLOPs is none.
func (Gather) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o Gather) Eval(out *Array, in []*Array, h halt.Func) error {
	x, idx := in[0], in[1]
	axis, err := normAxis(o.Axis, len(x.Shape))
	if err != nil {
		return err
	}
	var failed error
	n, size, k := x.Shape[axis], out.DType.Size(), len(idx.Shape)
	ask := h.Counter()
	// Offsets in x of everything but the gathered axis, and those of the index.
	from := slices.Concat(x.Strides[:axis], make([]int, k), x.Strides[axis+1:])
	at := slices.Concat(make([]int, axis), idx.Strides, make([]int, len(x.Shape)-axis-1))
	if err := walk(out.Shape, &ask, 1, func(p []int) {
		i, ok := wrapped(idx.Int(p[2]), n)
		if !ok {
			if failed == nil {
				failed = IndexError(idx.Int(p[2]), n)
			}
			return
		}
		off := (p[1] + i*x.Strides[axis]) * size
		copy(out.Data[p[0]*size:p[0]*size+size], x.Data[off:off+size])
	}, out.Strides, from, at); err != nil {
		return err
	}
	return failed
}

// GatherElements takes single elements along an axis: from x and an index of the
// same rank, i32 or i64, the element at [i, j, ...] is x[index[i, j, ...], j, ...]
// for axis 0, and so on. On the other axes the index is no larger than x. A
// negative index counts from the end.
type GatherElements struct{ Axis int }

// Name is gather_elements.
func (GatherElements) Name() string { return "gather_elements" }

// Traits are those of a gather.
func (GatherElements) Traits() Traits { return Traits{Class: ClassGather, Gathers: true} }

// Attrs is the axis.
func (o GatherElements) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeGatherElements(r *plan.AttrReader) Op { return GatherElements{r.Int("axis")} }

// Infer gives the shape of the index.
func (o GatherElements) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if err := wantIndex("gather_elements", in[1]); err != nil {
		return plan.Spec{}, err
	}
	return plan.Spec{DType: in[0].DType, Shape: in[1].Shape}, o.within(in[0].Shape, in[1].Shape)
}

// within checks that an index fits x on the other axes.
func (o GatherElements) within(x, idx plan.Shape) error {
	axis, err := normAxis(o.Axis, len(x))
	if err != nil {
		return err
	}
	if len(x) != len(idx) {
		return shapeErr("elements %v of %v, want one rank", idx, x)
	}
	for d := range x {
		if left, ok := x[d].Sub(idx[d]).Const(); d != axis && (!ok || left < 0) {
			return shapeErr("elements %v of %v along axis %d", idx, x, axis)
		}
	}
	return nil
}

// FLOPs is none.
func (GatherElements) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o GatherElements) Eval(out *Array, in []*Array, h halt.Func) error {
	x, idx := in[0], in[1]
	axis, err := normAxis(o.Axis, len(x.Shape))
	if err != nil {
		return err
	}
	var failed error
	n, size := x.Shape[axis], out.DType.Size()
	from := slices.Clone(x.Strides)
	from[axis] = 0
	ask := h.Counter()
	if err := walk(out.Shape, &ask, 1, func(p []int) {
		i, ok := wrapped(idx.Int(p[2]), n)
		if !ok {
			if failed == nil {
				failed = IndexError(idx.Int(p[2]), n)
			}
			return
		}
		off := (p[1] + i*x.Strides[axis]) * size
		copy(out.Data[p[0]*size:p[0]*size+size], x.Data[off:off+size])
	}, out.Strides, from, idx.Strides); err != nil {
		return err
	}
	return failed
}

// GatherND takes slices at tuples of indices: x and index [b..., i..., k] have
// the first Batch axes b in common, and the output is x[b..., index[b..., i...]]:
// [b..., i..., the axes of x after b and the k indexed ones]. A negative index
// counts from the end.
type GatherND struct{ Batch int }

// Name is gather_nd.
func (GatherND) Name() string { return "gather_nd" }

// Traits are those of a gather.
func (GatherND) Traits() Traits { return Traits{Class: ClassGather, Gathers: true} }

// Attrs is the number of common axes.
func (o GatherND) Attrs() plan.Attrs { return plan.Attrs{plan.Int("batch", o.Batch)} }

func decodeGatherND(r *plan.AttrReader) Op { return GatherND{r.Int("batch")} }

// Infer joins the axes of the index with the rest of x's.
func (o GatherND) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if err := wantIndex("gather_nd", in[1]); err != nil {
		return plan.Spec{}, err
	}
	x, idx := in[0].Shape, in[1].Shape
	k, err := tuples(x, idx, o.Batch)
	if err != nil {
		return plan.Spec{}, err
	}
	return plan.Spec{DType: in[0].DType, Shape: slices.Concat(idx[:len(idx)-1], x[o.Batch+k:])}, nil
}

// tuples is the length of the tuples in an index [b..., i..., k] into x.
func tuples(x, idx plan.Shape, batch int) (int, error) {
	if len(idx) < 1 || batch < 0 || batch >= len(idx) || batch > len(x) {
		return 0, shapeErr("tuples %v into %v with %d common axes", idx, x, batch)
	}
	k, ok := idx[len(idx)-1].Const()
	if !ok || k < 1 || k > len(x)-batch || !x[:batch].Equal(idx[:batch]) {
		return 0, shapeErr("tuples %v into %v with %d common axes", idx, x, batch)
	}
	return k, nil
}

// FLOPs is none.
func (GatherND) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (o GatherND) Eval(out *Array, in []*Array, h halt.Func) error {
	x, idx := in[0], in[1]
	lead := len(idx.Shape) - 1
	k := idx.Shape[lead]
	from := slices.Concat(x.Strides[:o.Batch], make([]int, lead-o.Batch), x.Strides[o.Batch+k:])
	at := slices.Concat(idx.Strides[:lead], make([]int, len(out.Shape)-lead))
	size := out.DType.Size()
	var failed error
	ask := h.Counter()
	if err := walk(out.Shape, &ask, k, func(p []int) {
		off, err := tupleOffset(x, idx, p[2], o.Batch)
		if err != nil {
			failed = cmpOr(failed, err)
			return
		}
		off = (off + p[1]) * size
		copy(out.Data[p[0]*size:p[0]*size+size], x.Data[off:off+size])
	}, out.Strides, from, at); err != nil {
		return err
	}
	return failed
}

func cmpOr(first, then error) error {
	if first != nil {
		return first
	}
	return then
}

// tupleOffset is the offset in x of the tuple at an offset of idx.
func tupleOffset(x, idx *Array, at, batch int) (off int, err error) {
	last := len(idx.Shape) - 1
	for j := range idx.Shape[last] {
		v, n := idx.Int(at+j*idx.Strides[last]), x.Shape[batch+j]
		i, ok := wrapped(v, n)
		if !ok {
			return 0, IndexError(v, n)
		}
		off += i * x.Strides[batch+j]
	}
	return off, nil
}
