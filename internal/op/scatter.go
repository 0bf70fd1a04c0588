package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Combine is what a scatter does with an update and the element there: one of
// the reductions of ONNX. Updates are applied in row-major order, so the last
// one of several for one element stays with none.
type Combine string

// The combinations. All but none need numbers: f32, i32 or i64.
const (
	CombineNone Combine = "none"
	CombineAdd  Combine = "add"
	CombineMul  Combine = "mul"
	CombineMin  Combine = "min"
	CombineMax  Combine = "max"
)

func (c Combine) check(data plan.DType) error {
	switch c {
	case CombineNone:
		return nil
	case CombineAdd, CombineMul, CombineMin, CombineMax:
		if data == plan.F32 || data.IsInt() {
			return nil
		}
		return dtypeErr("scatter with %s of %v", c, data)
	}
	return shapeErr("unknown combination %.40q, want none, add, mul, min or max", string(c))
}

// into combines update u at offset j with element i of out.
func (c Combine) into(out, u *Array) func(i, j int) {
	size := out.DType.Size()
	if c == CombineNone {
		return func(i, j int) { copy(out.Data[i*size:i*size+size], u.Data[j*size:j*size+size]) }
	}
	f := map[Combine]numbers{
		CombineAdd: Add().numbers(), CombineMul: Mul().numbers(), CombineMin: Min().numbers(), CombineMax: Max().numbers(),
	}[c]
	if out.DType == plan.F32 {
		y, x := out.F32(), u.F32()
		return func(i, j int) { y[i] = f.floats(y[i], x[j]) }
	}
	return func(i, j int) { out.SetInt(i, int(f.ints(int64(out.Int(i)), int64(u.Int(j))))) }
}

// ScatterElements is data with elements replaced along an axis: the inverse of
// [GatherElements]. Data has any type, indices are i32 or i64, and updates have
// the type of data and the shape of the indices.
type ScatterElements struct {
	Axis    int
	Combine Combine
}

// Name is scatter_elements.
func (ScatterElements) Name() string { return "scatter_elements" }

// Traits are those of a copy.
func (ScatterElements) Traits() Traits { return Traits{Class: ClassCopy} }

// Attrs are the axis and the combination.
func (o ScatterElements) Attrs() plan.Attrs {
	return plan.Attrs{plan.Int("axis", o.Axis), plan.Str("combine", string(o.Combine))}
}

func decodeScatterElements(r *plan.AttrReader) Op {
	return ScatterElements{r.Int("axis"), Combine(r.Str("combine"))}
}

// Infer keeps data's shape.
func (o ScatterElements) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := scattered("scatter_elements", in, o.Combine); err != nil {
		return plan.Spec{}, err
	}
	if !in[1].Shape.Equal(in[2].Shape) {
		return plan.Spec{}, shapeErr("updates %v at indices %v", in[2].Shape, in[1].Shape)
	}
	return in[0], GatherElements{o.Axis}.within(in[0].Shape, in[1].Shape)
}

func scattered(what string, in []plan.Spec, c Combine) error {
	if err := arity(in, 3, 3); err != nil {
		return err
	}
	if in[0].DType != in[2].DType {
		return dtypeErr("updates of %v for %v", in[2].DType, in[0].DType)
	}
	if err := wantIndex(what, in[1]); err != nil {
		return err
	}
	return c.check(in[0].DType)
}

// FLOPs is one per update.
func (ScatterElements) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[2]) }

// Eval is the reference kernel.
func (o ScatterElements) Eval(out *Array, in []*Array, h halt.Func) error {
	data, idx, u := in[0], in[1], in[2]
	axis, err := normAxis(o.Axis, len(data.Shape))
	if err != nil {
		return err
	}
	if err := copyArray(out, data, h); err != nil {
		return err
	}
	to := slices.Clone(out.Strides)
	to[axis] = 0
	put, n := o.Combine.into(out, u), data.Shape[axis]
	var failed error
	ask := h.Counter()
	if err := walk(idx.Shape, &ask, 1, func(p []int) {
		i, ok := wrapped(idx.Int(p[1]), n)
		if !ok {
			failed = cmpOr(failed, IndexError(idx.Int(p[1]), n))
			return
		}
		put(p[0]+i*out.Strides[axis], p[2])
	}, to, idx.Strides, u.Strides); err != nil {
		return err
	}
	return failed
}

// ScatterND is data with slices replaced at tuples of indices: the inverse of
// [GatherND] without common axes. Data has any type, indices [i..., k] are i32
// or i64, and updates are [i..., the axes of data after the k indexed ones].
type ScatterND struct{ Combine Combine }

// Name is scatter_nd.
func (ScatterND) Name() string { return "scatter_nd" }

// Traits are those of a copy.
func (ScatterND) Traits() Traits { return Traits{Class: ClassCopy} }

// Attrs is the combination.
func (o ScatterND) Attrs() plan.Attrs { return plan.Attrs{plan.Str("combine", string(o.Combine))} }

func decodeScatterND(r *plan.AttrReader) Op { return ScatterND{Combine(r.Str("combine"))} }

// Infer keeps data's shape.
func (o ScatterND) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := scattered("scatter_nd", in, o.Combine); err != nil {
		return plan.Spec{}, err
	}
	data, idx := in[0].Shape, in[1].Shape
	k, err := tuples(data, idx, 0)
	if err != nil {
		return plan.Spec{}, err
	}
	if want := slices.Concat(idx[:len(idx)-1], data[k:]); !want.Equal(in[2].Shape) {
		return plan.Spec{}, shapeErr("updates %v at %v of %v, want %v", in[2].Shape, idx, data, want)
	}
	return in[0], nil
}

// FLOPs is one per element of the updates.
func (ScatterND) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[2]) }

// Eval is the reference kernel.
func (o ScatterND) Eval(out *Array, in []*Array, h halt.Func) error {
	data, idx, u := in[0], in[1], in[2]
	if err := copyArray(out, data, h); err != nil {
		return err
	}
	lead := len(idx.Shape) - 1
	k := idx.Shape[lead]
	to := slices.Concat(make([]int, lead), out.Strides[k:])
	at := slices.Concat(idx.Strides[:lead], make([]int, len(data.Shape)-k))
	put := o.Combine.into(out, u)
	var failed error
	ask := h.Counter()
	if err := walk(u.Shape, &ask, k, func(p []int) {
		off, err := tupleOffset(out, idx, p[1], 0)
		if err != nil {
			failed = cmpOr(failed, err)
			return
		}
		put(off+p[0], p[2])
	}, to, at, u.Strides); err != nil {
		return err
	}
	return failed
}
