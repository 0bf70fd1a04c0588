package op

import (
	"slices"

	"github.com/genie-sdk/go/internal/halt"
	"github.com/genie-sdk/go/transport/plan"
)

// Reduce is the sum, mean, max, min or prod over the given axes, which are
// retained with size one or dropped; of f32 and, except a mean, of i32 and i64.
// Floats are reduced in float64; integers wrap. NaN makes the result NaN, except
// that the maximum of NaN and infinity is infinity.
type Reduce struct {
	Kind string // sum, mean, max, min or prod
	Axes []int
	Keep bool
}

// Name is reduce.
func (Reduce) Name() string { return "reduce" }

// Traits are those of a reduction.
func (Reduce) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true} }

// Attrs are the kind, the axes and whether the axes are retained.
func (o Reduce) Attrs() plan.Attrs {
	return plan.Attrs{plan.Ints("axes", o.Axes), plan.BoolAttr("keep", o.Keep), plan.Str("kind", o.Kind)}
}

func decodeReduce(r *plan.AttrReader) Op {
	return Reduce{Axes: r.Ints("axes"), Keep: r.Bool("keep"), Kind: r.Str("kind")}
}

func (o Reduce) reduced(rank int) ([]bool, error) {
	in := make([]bool, rank)
	for _, a := range o.Axes {
		a, err := normAxis(a, rank)
		if err != nil {
			return nil, err
		}
		if in[a] {
			return nil, shapeErr("reduce over axis %d twice", a)
		}
		in[a] = true
	}
	return in, nil
}

// Infer drops the axes or retains them with size one.
func (o Reduce) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	s := in[0]
	switch o.Kind {
	case "sum", "mean", "max", "min", "prod":
	default:
		return s, shapeErr("unknown reduction %.40q, want sum, mean, max, min or prod", o.Kind)
	}
	if s.DType != plan.F32 && (!s.DType.IsInt() || o.Kind == "mean") {
		return s, dtypeErr("%s of %v", o.Kind, s.DType)
	}
	red, err := o.reduced(len(s.Shape))
	if err != nil {
		return s, err
	}
	var out plan.Shape
	for i, d := range s.Shape {
		switch {
		case !red[i]:
			out = append(out, d)
		case o.Keep:
			out = append(out, plan.C(1))
		}
		if red[i] && o.extreme() != "" && d.Is(0) {
			return s, shapeErr("the %s over axis %d of %v", o.extreme(), i, s.Shape)
		}
	}
	return plan.Spec{DType: s.DType, Shape: out}, nil
}

// extreme is the noun of a reduction that needs an element; empty for another.
func (o Reduce) extreme() string {
	return map[string]string{"max": "maximum", "min": "minimum"}[o.Kind]
}

// Conditions are that a maximum or a minimum has at least one element. A sum of
// nothing is 0, a product of nothing 1 and a mean of nothing NaN, as in PyTorch
// and NumPy; both refuse a maximum of nothing.
func (o Reduce) Conditions(in []plan.Spec) (plan.Shape, string) {
	x := in[0].Shape
	red, err := o.reduced(len(x))
	if err != nil || o.extreme() == "" {
		return nil, ""
	}
	var dims plan.Shape
	for i, r := range red {
		if r {
			dims = append(dims, some(x[i]))
		}
	}
	return dims, "the " + o.extreme() + " over an empty axis"
}

// FLOPs is one per input element.
func (Reduce) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[0]) }

// Eval is the reference kernel.
func (o Reduce) Eval(out *Array, in []*Array, h halt.Func) error {
	red, err := o.reduced(len(in[0].Shape))
	if err != nil {
		return err
	}
	strides := make([]int, len(red))
	n, j := 1, 0
	for i, r := range red {
		if r {
			n *= in[0].Shape[i]
			if o.Keep {
				j++
			}
			continue
		}
		strides[i] = out.Strides[j]
		j++
	}
	if n == 0 && o.extreme() != "" && out.Len() > 0 {
		return shapeErr("the %s over axes %v of %v", o.extreme(), o.Axes, in[0].Shape)
	}
	if out.DType != plan.F32 {
		return o.evalInts(out, in[0], strides, h)
	}
	return o.evalFloats(out, in[0], strides, n, h)
}

// ArgMax is the index (i32) of the first largest element along Axis, which is
// dropped. NaN is never the largest; a row of NaN gives 0.
type ArgMax struct{ Axis int }

// Name is argmax.
func (ArgMax) Name() string { return "argmax" }

// Traits are those of a reduction.
func (ArgMax) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true} }

// Attrs is the axis.
func (o ArgMax) Attrs() plan.Attrs { return plan.Attrs{plan.Int("axis", o.Axis)} }

func decodeArgMax(r *plan.AttrReader) Op { return ArgMax{r.Int("axis")} }

// Infer drops the axis.
func (o ArgMax) Infer(in []plan.Spec) (plan.Spec, error) {
	if err := arity(in, 1, 1); err != nil {
		return plan.Spec{}, err
	}
	s := in[0]
	if s.DType != plan.F32 && !s.DType.IsInt() {
		return s, dtypeErr("argmax of %v, want f32, i32 or i64", s.DType)
	}
	axis, err := normAxis(o.Axis, len(s.Shape))
	if err != nil {
		return s, err
	}
	if s.Shape[axis].Is(0) {
		return s, shapeErr("argmax over axis %d of %v", axis, s.Shape)
	}
	return plan.Spec{DType: plan.I32, Shape: slices.Delete(slices.Clone(s.Shape), axis, axis+1)}, nil
}

// Conditions are that there is an element.
func (o ArgMax) Conditions(in []plan.Spec) (plan.Shape, string) {
	x := in[0].Shape
	axis, err := normAxis(o.Axis, len(x))
	if err != nil {
		return nil, ""
	}
	return plan.Shape{some(x[axis])}, "the largest over an empty axis"
}

// FLOPs is one per input element.
func (ArgMax) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[0]) }

// Eval is the reference kernel.
func (o ArgMax) Eval(out *Array, in []*Array, h halt.Func) error {
	axis, err := normAxis(o.Axis, len(in[0].Shape))
	if err != nil {
		return err
	}
	return argExtreme(out, in[0], axis, 1, h)
}

// TopK is the K largest elements of the last axis, largest first, ties by
// lower index: their values (f32) or their indices (i32).
type TopK struct {
	K       int
	Indices bool
}

// Name is topk.
func (TopK) Name() string { return "topk" }

// Traits are those of a reduction.
func (TopK) Traits() Traits { return Traits{Class: ClassReduce, Reduces: true} }

// Attrs are k and the selected output.
func (o TopK) Attrs() plan.Attrs {
	return plan.Attrs{plan.BoolAttr("indices", o.Indices), plan.Int("k", o.K)}
}

func decodeTopK(r *plan.AttrReader) Op { return TopK{Indices: r.Bool("indices"), K: r.Int("k")} }

// Infer replaces the last dimension by K.
func (o TopK) Infer(in []plan.Spec) (plan.Spec, error) {
	s, err := inferSame(in)
	if err != nil {
		return s, err
	}
	if len(s.Shape) < 1 || o.K < 1 {
		return s, shapeErr("top %d of %v", o.K, s.Shape)
	}
	last := len(s.Shape) - 1
	if n, ok := s.Shape[last].Const(); !ok || o.K > n {
		return s, shapeErr("top %d of %v", o.K, s.Shape)
	}
	out := plan.Spec{DType: plan.F32, Shape: slices.Clone(s.Shape)}
	out.Shape[last] = plan.C(o.K)
	if o.Indices {
		out.DType = plan.I32
	}
	return out, nil
}

// FLOPs is one per input element.
func (TopK) FLOPs(in [][]int, _ []int) float64 { return fproduct(in[0]) }

// Eval is the reference kernel.
func (o TopK) Eval(out *Array, in []*Array, h halt.Func) error {
	axis := len(in[0].Shape) - 1
	x, st, n := in[0].F32(), in[0].Strides[axis], in[0].Shape[axis]
	best := make([]int, 0, o.K) // a heap with the last of them at its root
	at := 0
	ask := h.Counter()
	return rows(in[0].Shape, axis, &ask, func(p []int) {
		row := x[p[0]:]
		before := func(a, b int) bool {
			d := descending(row[a*st], row[b*st])
			return d < 0 || d == 0 && a < b
		}
		best = best[:0]
		for i := range n {
			switch {
			case i%innerWork == innerWork-1 && ask.Stop(elementWork*innerWork):
				return
			case len(best) < o.K:
				best = append(best, i)
				for c := i; c > 0 && before(best[(c-1)/2], best[c]); c = (c - 1) / 2 {
					best[c], best[(c-1)/2] = best[(c-1)/2], best[c]
				}
			case before(i, best[0]):
				best[0] = i
				siftDown(best, before)
			}
		}
		for last := len(best) - 1; last > 0; last-- {
			if ask.Stop(elementWork * positionWork) {
				return
			}
			best[0], best[last] = best[last], best[0]
			siftDown(best[:last], before)
		}
		for _, i := range best {
			if o.Indices {
				out.I32()[at] = int32(i)
			} else {
				out.F32()[at] = row[i*st]
			}
			at++
		}
	}, in[0].Strides)
}

// siftDown restores a heap whose root has changed: no element precedes its
// parent.
func siftDown(heap []int, before func(a, b int) bool) {
	for i := 0; ; {
		c := 2*i + 1
		if c >= len(heap) {
			return
		}
		if c+1 < len(heap) && before(heap[c], heap[c+1]) {
			c++
		}
		if !before(heap[i], heap[c]) {
			return
		}
		heap[i], heap[c] = heap[c], heap[i]
		i = c
	}
}

// descending orders larger first and NaN last.
func descending(a, b float32) int {
	an, bn := a != a, b != b
	switch {
	case an && bn || a == b:
		return 0
	case bn || a > b:
		return -1
	}
	return 1
}
