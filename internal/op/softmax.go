package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Softmax is exp(x - max) / sum along one axis.
type Softmax struct{ Axis int }

// Name is softmax.
func (Softmax) Name() string { return "softmax" }

// Traits are those of a normalisation.
func (Softmax) Traits() Traits { return Traits{Class: ClassNorm, NonLinear: true} }

// Attrs is the axis; negative ones count from the last.
func (o Softmax) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeSoftmax(r *plan.AttrReader) Op { return Softmax{r.Int("axis")} }

// Infer keeps the shape.
func (o Softmax) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err == nil {
		_, err = normAxis(o.Axis, len(s.Shape))
	}
	return s, err
}

// Rows are those of the input, along any axis but its own.
func (o Softmax) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	axis, err := normAxis(o.Axis, len(out.Shape))
	return firstRows(in, s), o, err == nil && s.Axis != axis
}

// FLOPs is five per element.
func (Softmax) FLOPs(_ [][]int, out []int) float64 { return 5 * fproduct(out) }

// Eval is the reference kernel.
func (o Softmax) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(out.Shape))
	if err != nil {
		return err
	}
	y, x := out.F32(), in[0].F32()
	n, sy, sx := out.Shape[axis], out.Strides[axis], in[0].Strides[axis]
	ask := h.Counter()
	return rows(out.Shape, axis, &ask, func(p []int) {
		hi := math.Inf(-1)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			hi = math.Max(hi, float64(x[p[1]+i*sx]))
		}
		var sum float64
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			sum += math.Exp(float64(x[p[1]+i*sx]) - hi)
		}
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[0]+i*sy] = float32(math.Exp(float64(x[p[1]+i*sx])-hi) / sum)
		}
	}, out.Strides, in[0].Strides)
}
