package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// LayerNorm normalises the last axis to mean 0 and variance 1 (biased), then
// scales by gamma [n] and shifts by beta [n]: Ba, Kiros and Hinton, 2016.
type LayerNorm struct{ Eps float64 }

// Name is layer_norm.
func (LayerNorm) Name() string { return "layer_norm" }

// Traits are those of a normalisation.
func (LayerNorm) Traits() Traits { return Traits{Class: ClassNorm, Aligned: true} }

// Attrs is epsilon, added to the variance.
func (o LayerNorm) Attrs() plan.Attrs { return plan.Attrs{plan.Float("eps", o.Eps)} }

func decodeLayerNorm(r *plan.AttrReader) Op { return LayerNorm{r.Float("eps")} }

// Infer keeps the shape of x.
func (LayerNorm) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 3, 3); err != nil {
		return plan.Spec{}, err
	}
	x := in[0].Shape
	for _, p := range in[1:] {
		if len(x) < 1 || len(p.Shape) != 1 || !p.Shape[0].Equal(x[len(x)-1]) {
			return plan.Spec{}, shapeErr("layer norm of %v with parameters %v, want [%v]", x, p.Shape, x[max(len(x)-1, 0):])
		}
	}
	return in[0], wantF32(in...)
}

// Rows are those of the input: each row along the last axis is independent.
func (o LayerNorm) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, s.Axis < len(out.Shape)-1
}

// FLOPs is eight per element.
func (LayerNorm) FLOPs(_ [][]int, out []int) float64 { return 8 * fproduct(out) }

// Eval is the reference kernel.
func (o LayerNorm) Eval(out *Array, in []*Array, h halt.Func) error {
	axis := len(out.Shape) - 1
	y, x, g, b := out.F32(), in[0].F32(), in[1].F32(), in[2].F32()
	n, sy, sx, sg, sb := out.Shape[axis], out.Strides[axis], in[0].Strides[axis], in[1].Strides[0], in[2].Strides[0]
	ask := h.Counter()
	return rows(out.Shape, axis, &ask, func(p []int) {
		var mean, va float64
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			mean += float64(x[p[1]+i*sx])
		}
		mean /= float64(n)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			d := float64(x[p[1]+i*sx]) - mean
			va += d * d
		}
		inv := 1 / math.Sqrt(va/float64(n)+o.Eps)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[0]+i*sy] = float32((float64(x[p[1]+i*sx])-mean)*inv*float64(g[i*sg]) + float64(b[i*sb]))
		}
	}, out.Strides, in[0].Strides)
}
