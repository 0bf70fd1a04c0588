package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Pick selects one position of each sequence: from x [batch, n, ...], f32, and
// index [batch], i32 or i64, it takes x[b, index[b], ...], [batch, ...]. An
// index outside 0 to n-1 is an error.
type Pick struct{}

// Name is pick.
func (Pick) Name() string { return "pick" }

// Traits are those of a gather.
func (Pick) Traits() Traits { return Traits{Class: ClassGather, Gathers: true} }

// Attrs has none.
func (Pick) Attrs() plan.Attrs { return nil }

// Infer drops the second axis.
func (Pick) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	x, idx := in[0], in[1]
	if len(x.Shape) < 2 || len(idx.Shape) != 1 || !x.Shape[0].Equal(idx.Shape[0]) {
		return plan.Spec{}, shapeErr("pick of %v at %v, want [batch, n, ...] and [batch]", x.Shape, idx.Shape)
	}
	if !idx.DType.IsInt() {
		return plan.Spec{}, dtypeErr("pick at indices of %v, want i32 or i64", idx.DType)
	}
	s := append(plan.Shape{x.Shape[0]}, x.Shape[2:]...)
	return plan.Spec{DType: plan.F32, Shape: s}, wantF32(x)
}

// FLOPs is none.
func (Pick) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (Pick) Eval(out *Array, in []*Array, h halt.Func) error {
	x, idx := in[0], in[1]
	ask := h.Counter()
	y, v, n := out.F32(), x.F32(), x.Shape[1]
	for b := range x.Shape[0] {
		i := idx.Int(b * idx.Strides[0])
		if i < 0 || i >= n {
			return IndexError(i, n)
		}
		from, to := b*x.Strides[0]+i*x.Strides[1], b*out.Strides[0]
		if err := walk(x.Shape[2:], &ask, 1, func(p []int) { y[to+p[0]] = v[from+p[1]] }, out.Strides[1:], x.Strides[2:]); err != nil {
			return err
		}
	}
	return nil
}
