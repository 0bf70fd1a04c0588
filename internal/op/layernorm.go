package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// LayerNorm normalises the last axis to mean 0 and variance 1 (biased), then
// scales by gamma [n] and shifts by beta [n]: Ba, Kiros and Hinton, 2016. beta is
// optional, and so are both.
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
	if err := arity(in, 1, 3); err != nil {
		return plan.Spec{}, err
	}
	return inferNorm("layer norm", in)
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
	y, x := out.F32(), in[0].F32()
	n, sy, sx := out.Shape[axis], out.Strides[axis], in[0].Strides[axis]
	gamma, beta := parameter(in, 1, 1), parameter(in, 2, 0)
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
			y[p[0]+i*sy] = float32((float64(x[p[1]+i*sx])-mean)*inv*gamma(i) + beta(i))
		}
	}, out.Strides, in[0].Strides)
}
