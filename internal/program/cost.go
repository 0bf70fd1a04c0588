package program

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Cost is what a group computes and moves, in floating-point operations and
// bytes. Values inside it are not moved, weights count in their storage type,
// and a gather reads only what it gathers.
type Cost struct {
	FLOPs   float64
	Read    float64
	Written float64
	Weights float64 // of the values read
}

// Cost is that of group i at sizes: shape returns the shape of a value.
func (p *Program) Cost(i int, shape func(v int) []int) Cost {
	g, res := &p.Groups[i], p.Res
	var c Cost
	for _, k := range g.Steps {
		if _, view := res.Ops[k].(op.Viewer); !view || len(g.Steps) == 1 {
			c.FLOPs += p.FLOPs(k, shape)
		}
	}
	if s := &p.plan.Steps[g.Steps[0]]; len(g.Steps) == 1 && len(s.In) > 1 && res.Base[s.Out] == res.Base[s.In[0]] {
		n := p.bytes(s.In[1], shape) // an in-place update of carried state: only the new rows
		c.Read, c.Written = n, n
		return c
	}
	c.Written = p.bytes(g.Out, shape)
	var read []int
	for _, k := range g.Steps {
		s := &p.plan.Steps[k]
		for j, v := range s.In {
			if g.computes(p, res.Base[v]) || g.Kind == Elementwise && slices.Contains(read, v) {
				continue
			}
			read = append(read, v)
			n := p.bytes(v, shape)
			if j == 0 && res.Ops[k].Traits().Gathers {
				n = elements(shape(s.Out)) * float64(p.storage(v).Size())
			}
			c.Read += n
			if p.plan.Values[res.Base[v]].Kind == plan.KindWeight {
				c.Weights += n
			}
		}
	}
	return c
}

// computes reports whether one of the group's steps computes a value.
func (g *Group) computes(p *Program, base int) bool {
	return slices.ContainsFunc(g.Steps, func(k int) bool { return p.Res.Base[p.plan.Steps[k].Out] == base })
}

// FLOPs is the arithmetic of step k.
func (p *Program) FLOPs(k int, shape func(v int) []int) float64 {
	s := &p.plan.Steps[k]
	in := make([][]int, len(s.In))
	for i, v := range s.In {
		in[i] = shape(v)
	}
	return p.Res.Ops[k].FLOPs(in, shape(s.Out))
}

// storage is the type in which a value is stored: a weight's may be narrower
// than its compute type.
func (p *Program) storage(v int) plan.DType {
	if w := &p.plan.Values[p.Res.Base[v]]; w.Kind == plan.KindWeight {
		return w.Storage
	}
	return p.plan.Values[v].Spec.DType
}

func (p *Program) bytes(v int, shape func(v int) []int) float64 {
	return elements(shape(v)) * float64(p.storage(v).Size())
}

func elements(shape []int) float64 {
	n := 1.0
	for _, d := range shape {
		n *= float64(d)
	}
	return n
}

// Inputs are the types and shapes of the inputs of step k.
func (p *Program) Inputs(k int) []plan.Spec {
	return inputs(p.plan, k)
}

func inputs(p *plan.Plan, k int) []plan.Spec {
	in := make([]plan.Spec, len(p.Steps[k].In))
	for i, v := range p.Steps[k].In {
		in[i] = p.Values[v].Spec
	}
	return in
}
