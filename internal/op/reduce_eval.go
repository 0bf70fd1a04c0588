package op

import (
	"math"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// floats are the first value of a reduction of floats and its step.
func (o Reduce) floats() (first float64, step func(acc, x float64) float64) {
	switch o.Kind {
	case "max":
		return math.Inf(-1), math.Max
	case "min":
		return math.Inf(1), func(acc, x float64) float64 { return min(acc, x) }
	case "prod":
		return 1, func(acc, x float64) float64 { return acc * x }
	}
	return 0, func(acc, x float64) float64 { return acc + x }
}

// evalFloats reduces n elements into each of out; strides are those of the
// results along the axes of x.
func (o Reduce) evalFloats(out, x *Array, strides []int, n int, h halt.Func) error {
	first, step := o.floats()
	ask := h.Counter()
	acc := make([]float64, out.Len())
	for i := range acc {
		if ask.Stop(elementWork) {
			return ErrHalted
		}
		acc[i] = first
	}
	v := x.F32()
	if err := walk(x.Shape, &ask, 1, func(p []int) { acc[p[0]] = step(acc[p[0]], float64(v[p[1]])) }, strides, x.Strides); err != nil {
		return err
	}
	y := out.F32()
	for i, v := range acc {
		if ask.Stop(elementWork) {
			return ErrHalted
		}
		if o.Kind == "mean" {
			v /= float64(n)
		}
		y[i] = float32(v)
	}
	return nil
}

// evalInts reduces in the type of out.
func (o Reduce) evalInts(out, x *Array, strides []int, h halt.Func) error {
	first, step := int64(0), func(acc, x int64) int64 { return acc + x }
	switch o.Kind {
	case "max":
		first, step = math.MinInt64, func(acc, x int64) int64 { return max(acc, x) }
	case "min":
		first, step = math.MaxInt64, func(acc, x int64) int64 { return min(acc, x) }
	case "prod":
		first, step = 1, func(acc, x int64) int64 { return acc * x }
	}
	if out.DType == plan.I32 {
		first = min(max(first, math.MinInt32), math.MaxInt32)
	}
	ask := h.Counter()
	for i := range out.Len() {
		if ask.Stop(elementWork) {
			return ErrHalted
		}
		out.SetInt(i, int(first))
	}
	return walk(x.Shape, &ask, 1, func(p []int) {
		out.SetInt(p[0], int(step(int64(out.Int(p[0])), int64(x.Int(p[1])))))
	}, strides, x.Strides)
}

// argExtreme writes the index of the first largest element along an axis of x,
// or of the smallest if sign is -1.
func argExtreme(out, x *Array, axis int, sign float64, h halt.Func) error {
	if x.DType != plan.F32 {
		return argExtremeInt(out, x, axis, sign > 0, h)
	}
	v, st, n := x.F32(), x.Strides[axis], x.Shape[axis]
	if n == 0 && out.Len() > 0 {
		return shapeErr("the largest or smallest over axis %d of %v", axis, x.Shape)
	}
	at := 0
	ask := h.Counter()
	return rows(x.Shape, axis, &ask, func(p []int) {
		best, hi := 0, math.Inf(-1)
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			if v := sign * float64(v[p[0]+i*st]); v > hi {
				best, hi = i, v
			}
		}
		out.I32()[at] = int32(best)
		at++
	}, x.Strides)
}

// argExtremeInt is argExtreme of i32 or i64.
func argExtremeInt(out, x *Array, axis int, largest bool, h halt.Func) error {
	st, n := x.Strides[axis], x.Shape[axis]
	if n == 0 && out.Len() > 0 {
		return shapeErr("the largest or smallest over axis %d of %v", axis, x.Shape)
	}
	at := 0
	ask := h.Counter()
	return rows(x.Shape, axis, &ask, func(p []int) {
		best := 0
		for i := range n {
			if i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork) {
				return
			}
			a, b := x.Int(p[0]+i*st), x.Int(p[0]+best*st)
			if largest && a > b || !largest && a < b {
				best = i
			}
		}
		out.I32()[at] = int32(best)
		at++
	}, x.Strides)
}

// ArgMin is the index (i32) of the first smallest element along Axis, which is
// dropped. NaN is never the smallest; a row of NaN gives 0.
type ArgMin struct{ Axis int }

// Name is argmin.
func (ArgMin) Name() string { return "argmin" }

// Traits are those of a reduction.
func (ArgMin) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true} }

// Attrs is the axis.
func (o ArgMin) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeArgMin(r *plan.AttrReader) Op { return ArgMin{r.Int("axis")} }

// Infer drops the axis.
func (o ArgMin) Infer(in []plan.Spec) (plan.Spec, error) { return ArgMax(o).Infer(in) }

// Conditions are that there is an element.
func (o ArgMin) Conditions(in []plan.Spec) (plan.Shape, string) {
	dims, _ := ArgMax(o).Conditions(in)
	return dims, "the smallest over an empty axis"
}

// FLOPs is one per input element.
func (ArgMin) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[0]) }

// Eval is the reference kernel.
func (o ArgMin) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	return argExtreme(out, in[0], axis, -1, h)
}
