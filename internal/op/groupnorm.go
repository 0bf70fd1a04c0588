package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// GroupNorm normalises each of Groups equal parts of the channels of
// x [n, c, ...], over its channels and everything after them, to mean 0 and
// variance 1 (biased), then scales by gamma [c] and shifts by beta [c]: Wu and
// He, 2018. With a group for each channel it is instance normalisation.
type GroupNorm struct {
	Groups int
	Eps    float64
}

// Name is group_norm.
func (GroupNorm) Name() string { return "group_norm" }

// Traits are those of a normalisation.
func (GroupNorm) Traits() Traits { return Traits{Class: ClassNorm, Aligned: true} }

// Attrs are epsilon, added to the variance, and the number of groups.
func (o GroupNorm) Attrs() plan.Attrs {
	return plan.Attrs{plan.Float("eps", o.Eps), plan.Int("groups", o.Groups)}
}

func decodeGroupNorm(r *plan.AttrReader) Op {
	return GroupNorm{Eps: r.Float("eps"), Groups: r.Int("groups")}
}

// Infer keeps the shape of x.
func (o GroupNorm) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 3, 3); err != nil {
		return plan.Spec{}, err
	}
	x := in[0].Shape
	if len(x) < 2 || o.Groups < 1 || o.Groups > plan.MaxDimSize {
		return plan.Spec{}, shapeErr("group norm of %v in %d groups", x, o.Groups)
	}
	if _, ok := x[1].Div(plan.C(o.Groups)); !ok {
		return plan.Spec{}, shapeErr("group norm of %v in %d groups", x, o.Groups)
	}
	for _, p := range in[1:] {
		if len(p.Shape) != 1 || !p.Shape[0].Equal(x[1]) {
			return plan.Spec{}, shapeErr("group norm of %v with parameters %v, want [%v]", x, p.Shape, x[1])
		}
	}
	return in[0], wantF32(in...)
}

// Rows are those of the batch.
func (o GroupNorm) Rows(in []plan.Spec, _ plan.Spec, s Slice) ([]int, Op, bool) {
	return firstRows(in, s), o, s.Axis == 0
}

// FLOPs is eight per element.
func (GroupNorm) FLOPs(_ [][]int, out []int) float64 { return 8 * fproduct(out) }

// Eval is the reference kernel.
func (o GroupNorm) Eval(out *Array, in []*Array, h halt.Func) error {
	x, g, b := in[0], in[1], in[2]
	fx, y := x.F32(), out.F32()
	if x.Len() == 0 {
		return nil
	}
	size := x.Shape[1] / o.Groups
	part := append([]int{size}, x.Shape[2:]...)
	n := float64(product(part))
	ask := h.Counter()
	for i := range x.Shape[0] * o.Groups {
		c := i % o.Groups * size
		from := i/o.Groups*x.Strides[0] + c*x.Strides[1]
		to := i/o.Groups*out.Strides[0] + c*out.Strides[1]
		var mean, variance float64
		if err := walk(part, &ask, 1, func(p []int) { mean += float64(fx[from+p[0]]) }, x.Strides[1:]); err != nil {
			return err
		}
		mean /= n
		if err := walk(part, &ask, 1, func(p []int) {
			d := float64(fx[from+p[0]]) - mean
			variance += d * d
		}, x.Strides[1:]); err != nil {
			return err
		}
		inv := 1 / math.Sqrt(variance/n+o.Eps)
		gamma, beta := channel(g, part), channel(b, part)
		gs, bs := g.F32()[c*g.Strides[0]:], b.F32()[c*b.Strides[0]:]
		if err := walk(part, &ask, 1, func(p []int) {
			y[to+p[0]] = float32((float64(fx[from+p[1]])-mean)*inv*float64(gs[p[2]]) + float64(bs[p[3]]))
		}, out.Strides[1:], x.Strides[1:], gamma, beta); err != nil {
			return err
		}
	}
	return nil
}

// channel are the strides of a vector along the first axis of a shape.
func channel(v *Array, shape []int) []int {
	s := make([]int, len(shape))
	s[0] = v.Strides[0]
	return s
}
