package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// findPaged finds the states that may be stored in pages: those that grow by
// appending, and that only attention reads, as keys or values whose rows are
// the appended positions. All others are stored in one piece.
func (p *Program) findPaged() {
	p.Paged = make([]bool, len(p.plan.States))
	for i, st := range p.plan.States {
		p.Paged[i] = st.Mode == plan.StateAppend
	}
	refuse := func(v int) {
		if s := p.StateOf(v); s >= 0 {
			p.Paged[s] = false
		}
	}
	for _, o := range p.plan.Outputs {
		refuse(o.Value)
	}
	for i, st := range p.plan.States {
		if s := p.StateOf(st.Out); s >= 0 && s != i {
			refuse(st.Out)
		}
	}
	attends := make(map[int]*Group, len(p.Groups)) // by step
	for i := range p.Groups {
		if g := &p.Groups[i]; g.Kind == Attend {
			for _, k := range g.Steps {
				attends[k] = g
			}
		}
	}
	for k := range p.plan.Steps {
		s := &p.plan.Steps[k]
		if p.Res.View[k] {
			continue // its readers decide
		}
		_, appends := p.Res.Ops[k].(op.Append)
		for j, v := range s.In {
			i := p.StateOf(v)
			if i < 0 || appends && j == 0 && v == p.plan.States[i].In && s.Out == p.plan.States[i].Out {
				continue
			}
			g := attends[k]
			if g == nil || !g.attendsTo(p, k, j) || v == g.In[0] || !p.DenseRows(v) || !p.rowsArePositions(i, v) {
				refuse(v)
			}
		}
	}
}

// attendsTo reports whether input j of a step of the attention is its keys or its
// values.
func (g *Group) attendsTo(p *Program, step, j int) bool {
	if _, ok := p.Res.Ops[step].(op.Attention); ok {
		return j == 1 || j == 2
	}
	v := p.plan.Steps[step].In[j]
	return j == 1 && (v == g.In[1] || v == g.In[2])
}

// rowsArePositions reports whether v has all axes of state i, in any order, and
// its rows, the second-last axis, are the appended positions.
func (p *Program) rowsArePositions(i, v int) bool {
	st := &p.plan.States[i]
	l, shape := p.Res.Layouts[v], p.plan.Values[v].Spec.Shape
	if len(shape) < 3 || !l.Offset.Is(0) {
		return false
	}
	for _, whole := range [...]int{st.In, st.Out} {
		base, baseShape := p.Res.Layouts[whole], p.plan.Values[whole].Spec.Shape
		used := make([]bool, len(baseShape))
		rows, matched := -1, 0
		for d := range shape {
			for e := range baseShape {
				if !used[e] && shape[d].Equal(baseShape[e]) && l.Strides[d].Equal(base.Strides[e]) {
					if used[e] = true; d == len(shape)-2 {
						rows = e
					}
					matched++
					break
				}
			}
		}
		if matched == len(shape) && matched == len(baseShape) && rows == st.Axis {
			return true
		}
	}
	return false
}
