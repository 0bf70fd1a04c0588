package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// LogSoftmax is x - max - log(sum of exp(x - max)) along one axis: the logarithm
// of [Softmax].
type LogSoftmax struct{ Axis int }

// Name is log_softmax.
func (LogSoftmax) Name() string { return "log_softmax" }

// Traits are those of a normalisation.
func (LogSoftmax) Traits() Traits { return Traits{Class: ClassNorm, NonLinear: true} }

// Attrs is the axis; negative ones count from the last.
func (o LogSoftmax) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeLogSoftmax(r *plan.AttrReader) Op { return LogSoftmax{r.Int("axis")} }

// Infer keeps the shape.
func (o LogSoftmax) Infer(in []plan.Spec) (plan.Spec, error) { return Softmax(o).Infer(in) }

// Rows are those of the input, along any axis but its own.
func (o LogSoftmax) Rows(in []plan.Spec, out plan.Spec, s Slice) ([]int, Op, bool) {
	axes, _, ok := Softmax(o).Rows(in, out, s)
	return axes, o, ok
}

// FLOPs is five per element.
func (LogSoftmax) FLOPs(_ [][]int, out []int) float64 { return 5 * fproduct(out) }

// Eval is the reference kernel.
func (o LogSoftmax) Eval(out *Array, in []*Array, h halt.Func) error {
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
		log := math.Log(sum)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			y[p[0]+i*sy] = float32(float64(x[p[1]+i*sx]) - hi - log)
		}
	}, out.Strides, in[0].Strides)
}
