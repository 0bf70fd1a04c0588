package op

import (
	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Equal reports whether elements are the same number. It outputs bool from two
// inputs of one type, f32, i32 or i64, that broadcast. NaN is equal to nothing.
type Equal struct{}

// Name is equal.
func (Equal) Name() string { return "equal" }

// Traits are those of an elementwise comparison.
func (Equal) Traits() Traits {
	return Traits{Class: ClassElementwise, Pointwise: true, Commutative: true}
}

// Attrs has none.
func (Equal) Attrs() plan.Attrs { return nil }

// Infer broadcasts the shapes.
func (Equal) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 2, 2); err != nil {
		return plan.Spec{}, err
	}
	if d := in[0].DType; d != in[1].DType || d != plan.F32 && !d.IsInt() {
		return plan.Spec{}, dtypeErr("equality of %v and %v, want two of one type, f32, i32 or i64", in[0].DType, in[1].DType)
	}
	s, err := broadcast(in[0].Shape, in[1].Shape)
	return plan.Spec{DType: plan.Bool, Shape: s}, err
}

// FLOPs is none: there is no arithmetic on the elements.
func (Equal) FLOPs([][]int, []int) float64 { return 0 }

// Eval is the reference kernel.
func (Equal) Eval(out *Array, in []*Array, h halt.Func) error {
	a, b := in[0], in[1]
	same := func(i, j int) bool { return a.Int(i) == b.Int(j) }
	if a.DType == plan.F32 {
		x, y := a.F32(), b.F32()
		same = func(i, j int) bool { return x[i] == y[j] }
	}
	ask := h.Counter()
	return walk(out.Shape, &ask, 1, func(p []int) {
		out.Data[p[0]] = 0
		if same(p[1], p[2]) {
			out.Data[p[0]] = 1
		}
	}, out.Strides, a.BroadcastStrides(out.Shape), b.BroadcastStrides(out.Shape))
}
