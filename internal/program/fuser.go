package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// fuser groups the steps of a plan.
type fuser struct {
	p      *plan.Plan
	res    *op.Resolved
	reader []int         // by value: the only step that reads it, -1 if there are other readers
	taken  []bool        // by step
	writes map[int][]int // by root value: the steps that overwrite rows of it, in order
	// For elementwise groups, by value: the steps that read it, and whether a run's
	// end does.
	readers [][]int
	leaves  []bool
	opts    Options
}

// findReaders fills reader. Outputs and carried values are read by more than
// steps.
func (f *fuser) findReaders() {
	const none = -2
	for v := range f.reader {
		f.reader[v] = none
	}
	for i, s := range f.p.Steps {
		for _, v := range s.In {
			if f.reader[v] == none {
				f.reader[v] = i
			} else {
				f.reader[v] = -1
			}
		}
	}
	for _, o := range f.p.Outputs {
		f.reader[o.Value] = -1
	}
	for _, s := range f.p.States {
		f.reader[s.Out] = -1
	}
	for v, r := range f.reader {
		f.reader[v] = max(r, -1)
	}
}

// findWrites fills writes.
func (f *fuser) findWrites() {
	f.writes = map[int][]int{}
	for i, o := range f.res.Ops {
		if o.Traits().Overwrites {
			base := f.res.Base[f.p.Steps[i].Out]
			f.writes[base] = append(f.writes[base], i)
		}
	}
}

// next is the only reader of v, a step that has v as its first input.
func (f *fuser) next(v int) (int, bool) {
	i := f.reader[v]
	if i < 0 || f.taken[i] || f.opts.Separate {
		return 0, false
	}
	return i, f.p.Steps[i].In[0] == v
}

// movable reports whether all of g may run at the position of its last step:
// nothing overwrites what the earlier steps read.
func (f *fuser) movable(g Group) bool {
	for _, k := range g.Steps {
		for _, v := range f.p.Steps[k].In {
			writes := f.writes[f.res.Base[v]]
			if i, _ := slices.BinarySearch(writes, g.Steps[0]); i < len(writes) && writes[i] < g.Last() {
				return false
			}
		}
	}
	return true
}

// stage is the pointwise step that alone reads v, if it can be applied to v in
// place and the device supports it. accept must approve a second operand of v's
// shape.
func (f *fuser) stage(v int, accept func(v int) bool) (int, Stage, bool) {
	i := f.reader[v]
	if i < 0 || f.taken[i] || f.res.View[i] || f.opts.Separate {
		return 0, Stage{}, false
	}
	s, o := &f.p.Steps[i], f.res.Ops[i]
	traits := o.Traits()
	if !traits.Pointwise || !f.sameFloats(v, s.Out) || !f.opts.pointwise(o) {
		return 0, Stage{}, false
	}
	st := Stage{Op: o, Value: -1}
	switch len(s.In) {
	case 1:
		return i, st, true
	case 2:
		st.Value = s.In[1]
		if s.In[0] != v {
			st.Value = s.In[0]
		}
		if s.In[0] != v && !traits.Commutative {
			return 0, Stage{}, false
		}
	default:
		return 0, Stage{}, false
	}
	shape, other := f.p.Values[v].Spec.Shape, f.p.Values[st.Value].Spec.Shape
	switch {
	case f.p.Values[st.Value].Spec.DType != plan.F32 || len(shape) == 0:
		return 0, Stage{}, false
	case other.Equal(shape):
		st.Kind = StageRows
		return i, st, accept(st.Value)
	case len(other) == 1 && other[0].Equal(shape[len(shape)-1]):
		st.Kind = StageRow
		return i, st, f.res.Layouts[st.Value].Dense
	}
	return 0, Stage{}, false
}

// sameFloats reports whether two values are f32 and of one shape.
func (f *fuser) sameFloats(a, b int) bool {
	x, y := &f.p.Values[a].Spec, &f.p.Values[b].Spec
	return x.DType == plan.F32 && y.DType == plan.F32 && x.Shape.Equal(y.Shape)
}

// denseRows reports whether the last axis of v has no gaps.
func (f *fuser) denseRows(v int) bool { return denseRows(f.res, v) }

func denseRows(res *op.Resolved, v int) bool {
	st := res.Layouts[v].Strides
	return len(st) > 0 && st[len(st)-1].Is(1)
}

func (f *fuser) scalar(v int) bool {
	x := &f.p.Values[v]
	return x.Kind == plan.KindConst && x.Spec.DType == plan.F32 && len(x.Const) == 4
}

// flatMatMul reports whether step i multiplies with one matrix on the right.
func (f *fuser) flatMatMul(i int) bool {
	m, ok := f.res.Ops[i].(op.MatMul)
	return ok && !m.TransA && len(f.p.Values[f.p.Steps[i].In[1]].Spec.Shape) == 2
}

// maxStages bounds the stages of a product. Products that cannot move to the
// place of their last stage search the same stages, one after the other.
const maxStages = 64
