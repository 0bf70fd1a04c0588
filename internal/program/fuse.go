package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Group is what one kernel computes: one step of the plan, or several whose
// intermediate values are never stored. A fused group gives the bits that its
// steps give one by one.
type Group struct {
	Steps  []int // in order; the last one is the group's place among the others
	Kind   Kind
	In     []int // values that the kernel reads, stages' apart
	Out    int
	Stages []Stage     // what follows a product, element by element
	Attend Attention   // kind attend
	Conv   Convolution // kind convolve
}

// Kind is what computes a group.
type Kind uint8

// The kinds of groups: one step, a product with one matrix and its stages, an
// attention pattern, a convolution and what follows it.
const (
	Single Kind = iota
	Linear
	Attend
	Convolve
)

// Stage is one pointwise operator on the result of a product, applied while that
// is at hand.
type Stage struct {
	Kind  StageKind
	Op    op.Op
	Value int // second operand, -1 for none
}

// StageKind is where a stage's second operand comes from.
type StageKind uint8

// The kinds of stages.
const (
	StageUnary StageKind = iota // there is none
	StageRow                    // one vector for all rows
	StageRows                   // a value of the product's shape
)

// fuser groups the steps of a plan.
type fuser struct {
	p      *plan.Plan
	res    *op.Resolved
	reader []int         // by value: the only step that reads it, -1 where that is not all
	taken  []bool        // by step
	writes map[int][]int // by root value: the steps that overwrite rows of it, in order
	opts   Options
}

// fuse groups the steps that do something, in the order in which the groups
// run.
func fuse(p *plan.Plan, res *op.Resolved, opts Options) []Group {
	f := &fuser{p: p, res: res, reader: make([]int, len(p.Values)), taken: make([]bool, len(p.Steps)), opts: opts}
	f.findReaders()
	f.findWrites()
	var groups []Group
	for i := range p.Steps {
		if f.taken[i] || res.View[i] {
			continue
		}
		g, ok := f.attention(i)
		if !ok {
			g, ok = f.linear(i)
		}
		if !ok {
			g, ok = f.convolution(i)
		}
		if opts.Plain {
			s := &p.Steps[i]
			g = Group{Steps: []int{i}, In: s.In, Out: s.Out}
		} else if !ok || !f.movable(g) {
			g = f.alone(i)
		}
		for _, k := range g.Steps {
			f.taken[k] = true
		}
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b Group) int { return a.Place() - b.Place() })
	return groups
}

// alone is the group of step i and no other.
func (f *fuser) alone(i int) Group {
	s := &f.p.Steps[i]
	g := Group{Steps: []int{i}, In: s.In, Out: s.Out}
	if f.flatMatMul(i) {
		g.Kind = Linear
	}
	return g
}

// Place is the step where the group runs among the others.
func (g *Group) Place() int { return g.Steps[len(g.Steps)-1] }

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

// next is the only reader of v, a step that has v as its first input.
func (f *fuser) next(v int) (int, bool) {
	i := f.reader[v]
	if i < 0 || f.taken[i] || f.opts.Separate {
		return 0, false
	}
	return i, f.p.Steps[i].In[0] == v
}

// movable reports whether all of g may run where its last step stands: nothing
// overwrites what the earlier ones read.
func (f *fuser) movable(g Group) bool {
	for _, k := range g.Steps {
		for _, v := range f.p.Steps[k].In {
			writes := f.writes[f.res.Base[v]]
			if i, _ := slices.BinarySearch(writes, g.Steps[0]); i < len(writes) && writes[i] < g.Place() {
				return false
			}
		}
	}
	return true
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

// flatMatMul reports whether step i multiplies with one matrix on the right.
func (f *fuser) flatMatMul(i int) bool {
	m, ok := f.res.Ops[i].(op.MatMul)
	return ok && !m.TransA && len(f.p.Values[f.p.Steps[i].In[1]].Spec.Shape) == 2
}

// linear is a product with one matrix and the elementwise steps after it.
func (f *fuser) linear(i int) (Group, bool) {
	if !f.flatMatMul(i) {
		return Group{}, false
	}
	s := &f.p.Steps[i]
	g := Group{Steps: []int{i}, Kind: Linear, In: s.In, Out: s.Out}
	for {
		next, st, ok := f.stage(g.Out, f.denseRows)
		if !ok || len(g.Stages) == maxStages {
			return g, true
		}
		g.Steps, g.Stages, g.Out = append(g.Steps, next), append(g.Stages, st), f.p.Steps[next].Out
	}
}

// maxStages bounds what a product takes along. Products that cannot move to where
// their last stage is look along the same stages, one after the other.
const maxStages = 64

// stage is the pointwise step that alone reads v, if it can be applied to v in
// place and the device has it. A second operand of v's shape has to please accept.
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
func (f *fuser) denseRows(v int) bool {
	st := f.res.Layouts[v].Strides
	return len(st) > 0 && st[len(st)-1].Is(1)
}

// Attention is softmax(scale * Q x K^T, masked) x V of many heads, with the
// step that puts the heads side by side.
type Attention struct {
	Mask   op.CausalMask
	Masked bool
	Start  int // value with the padding before each sequence, -1 for none
	Scale  int // constant that the scores are multiplied with or divided by, -1 for none
	Divide bool
	Merge  bool // heads are put side by side: [b, h, q, d] to [b, q, h*d]
}

func (f *fuser) attention(i int) (Group, bool) {
	qk, ok := f.res.Ops[i].(op.MatMul)
	s := &f.p.Steps[i]
	if !ok || qk.TransA || !qk.TransB || len(f.p.Values[s.In[1]].Spec.Shape) < 3 {
		return Group{}, false
	}
	g := Group{Kind: Attend, Steps: []int{i}, Attend: Attention{Start: -1, Scale: -1}}
	cur := s.Out
	step := func(accept func(o op.Op, in []int) bool) bool {
		n, ok := f.next(cur)
		if !ok || !accept(f.res.Ops[n], f.p.Steps[n].In) {
			return false
		}
		g.Steps, cur = append(g.Steps, n), f.p.Steps[n].Out
		return true
	}
	a := &g.Attend
	step(func(o op.Op, in []int) bool {
		ar, ok := o.(op.Arith)
		if !ok || ar.Name() != "mul" && ar.Name() != "div" || !f.scalar(in[1]) {
			return false
		}
		a.Scale, a.Divide = in[1], ar.Name() == "div"
		return true
	})
	step(func(o op.Op, in []int) bool {
		m, ok := o.(op.CausalMask)
		if ok {
			a.Masked, a.Mask = true, m
			if len(in) == 2 {
				a.Start = in[1]
			}
		}
		return ok
	})
	rank := len(f.p.Values[cur].Spec.Shape)
	if !step(func(o op.Op, _ []int) bool {
		sm, ok := o.(op.Softmax)
		return ok && (sm.Axis == -1 || sm.Axis == rank-1)
	}) {
		return Group{}, false
	}
	var v int
	if !step(func(o op.Op, in []int) bool {
		m, ok := o.(op.MatMul)
		if ok {
			v = in[1]
		}
		return ok && !m.TransA && !m.TransB && len(f.p.Values[v].Spec.Shape) == rank
	}) {
		return Group{}, false
	}
	g.In = []int{s.In[0], s.In[1], v}
	queries := f.p.Values[s.In[0]].Spec.Shape
	for _, x := range g.In {
		shape := f.p.Values[x].Spec.Shape
		if !f.denseRows(x) || len(shape) != rank || !shape[:rank-2].Equal(queries[:rank-2]) {
			return Group{}, false
		}
	}
	g.Out = cur
	if rank == 4 {
		f.mergeHeads(&g)
	}
	return g, true
}

func (f *fuser) scalar(v int) bool {
	x := &f.p.Values[v]
	return x.Kind == plan.KindConst && x.Spec.DType == plan.F32 && len(x.Const) == 4
}

// mergeHeads adds the steps that put the heads side by side, so that they are
// written there at once.
func (f *fuser) mergeHeads(g *Group) {
	t, ok := f.next(g.Out)
	if !ok {
		return
	}
	if o, ok := f.res.Ops[t].(op.Transpose); !ok || !slices.Equal(o.Perm, []int{0, 2, 1, 3}) {
		return
	}
	moved := f.p.Steps[t].Out
	r, ok := f.next(moved)
	if !ok || f.res.View[r] {
		return
	}
	from, to := f.p.Values[moved].Spec.Shape, f.p.Values[f.p.Steps[r].Out].Spec.Shape
	if _, ok := f.res.Ops[r].(op.Reshape); !ok || len(to) != 3 || !to[0].Equal(from[0]) || !to[1].Equal(from[1]) {
		return
	}
	g.Steps, g.Out, g.Attend.Merge = append(g.Steps, t, r), f.p.Steps[r].Out, true
}
