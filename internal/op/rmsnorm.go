package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// RMSNorm divides the last axis of x [..., n] by its root mean square, sqrt(mean
// of x*x + Eps), and multiplies by Offset + weight, weight [n] being an optional
// second input: Zhang and Sennrich, 2019. Offset is 0, or 1 with a weight that
// is stored as its difference from 1.
type RMSNorm struct{ Eps, Offset float64 }

// Name is rms_norm.
func (RMSNorm) Name() string { return "rms_norm" }

// Traits are those of a normalisation.
func (RMSNorm) Traits() Traits { return Traits{Class: ClassNorm, Aligned: true} }

// Attrs are epsilon, added to the mean square, and the offset of the weight.
func (o RMSNorm) Attrs() plan.Attrs {
	return plan.Attrs{plan.Float("eps", o.Eps), plan.Float("offset", o.Offset)}
}

func decodeRMSNorm(r *plan.AttrReader) Op { return RMSNorm{r.Float("eps"), r.Float("offset")} }

// Infer keeps the shape of x.
func (o RMSNorm) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 2); err != nil {
		return plan.Spec{}, err
	}
	if o.Offset != 0 && (o.Offset != 1 || len(in) < 2) {
		return plan.Spec{}, shapeErr("rms norm with a weight offset of %v, want 0, or 1 with a weight", o.Offset)
	}
	return inferNorm("rms norm", in)
}

// inferNorm checks a normalisation of the last axis, with parameters of its
// length.
func inferNorm(what string, in []plan.Spec) (plan.Spec, error) {
	x := in[0].Shape
	if len(x) < 1 {
		return plan.Spec{}, shapeErr("%s of %v, want an axis", what, x)
	}
	for _, p := range in[1:] {
		if len(p.Shape) != 1 || !p.Shape[0].Equal(x[len(x)-1]) {
			return plan.Spec{}, shapeErr("%s of %v with parameters %v, want [%v]", what, x, p.Shape, x[len(x)-1])
		}
	}
	return in[0], wantF32(in...)
}

// Rows are those of the input: each row along the last axis is independent.
func (o RMSNorm) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, s.Axis < len(out.Shape)-1
}

// FLOPs is four per element.
func (RMSNorm) FLOPs(_ [][]int, out []int) float64 { return 4 * fproduct(out) }

// Eval is the reference kernel.
func (o RMSNorm) Eval(out *Array, in []*Array, h halt.Func) error {
	axis := len(out.Shape) - 1
	y, x := out.F32(), in[0].F32()
	n, sy, sx := out.Shape[axis], out.Strides[axis], in[0].Strides[axis]
	w := parameter(in, 1, 1)
	ask := h.Counter()
	return rows(out.Shape, axis, &ask, func(p []int) {
		var square float64
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			v := float64(x[p[1]+i*sx])
			square += v * v
		}
		scale := 1 / math.Sqrt(square/float64(n)+o.Eps)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[0]+i*sy] = float32(float64(x[p[1]+i*sx]) * scale * (o.Offset + w(i)))
		}
	}, out.Strides, in[0].Strides)
}

// parameter reads the vector that is input k of a normalisation; without one it
// is a constant.
func parameter(in []*Array, k int, otherwise float64) func(i int) float64 {
	if len(in) <= k {
		return func(int) float64 { return otherwise }
	}
	v, st := in[k].F32(), in[k].Strides[0]
	return func(i int) float64 { return float64(v[i*st]) }
}
