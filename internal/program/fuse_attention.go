package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
)

// attention is an attention as one step, or as separate ones.
func (f *fuser) attention(i int) (Group, bool) {
	if g, ok := f.attend(i); ok {
		f.mergeHeads(&g)
		return g, true
	}
	return f.separateAttention(i)
}

// attend is the group of step i alone, if that is an attention.
func (f *fuser) attend(i int) (Group, bool) {
	o, ok := f.res.Ops[i].(op.Attention)
	if !ok {
		return Group{}, false
	}
	s := &f.p.Steps[i]
	g := Group{Kind: Attend, Steps: []int{i}, In: s.In[:3:3], Out: s.Out, Attend: Attention{Op: o, Mask: -1, Start: -1}}
	if k := o.MaskInput(); k >= 0 {
		g.Attend.Mask = s.In[k]
	}
	if k := o.StartInput(); k >= 0 {
		g.Attend.Start = s.In[k]
	}
	return g, true
}

// separateAttention is an attention of steps: two products, and between them a
// scale, a causal mask and a softmax.
func (f *fuser) separateAttention(i int) (Group, bool) {
	qk, ok := f.res.Ops[i].(op.MatMul)
	s := &f.p.Steps[i]
	if !ok || qk.TransA || !qk.TransB || len(f.p.Values[s.In[1]].Spec.Shape) < 3 {
		return Group{}, false
	}
	g := Group{Kind: Attend, Steps: []int{i}, Attend: Attention{Op: op.Attention{Scale: 1, Mask: op.MaskNone}, Mask: -1, Start: -1}}
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
		a.Op.Scale, a.Divide = (&op.Array{Data: f.p.Values[in[1]].Const}).F32()[0], ar.Name() == "div"
		return true
	})
	step(func(o op.Op, in []int) bool {
		m, ok := o.(op.CausalMask)
		if ok {
			a.Op.Causal, a.Op.Window = true, m.Window
			if len(in) == 2 {
				a.Op.Start, a.Start = true, in[1]
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
	f.mergeHeads(&g)
	return g, true
}

// mergeHeads adds the steps that concatenate the heads, so that the kernel
// writes them in place.
func (f *fuser) mergeHeads(g *Group) {
	t, ok := f.next(g.Out)
	if !ok || len(f.p.Values[g.Out].Spec.Shape) != 4 {
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
