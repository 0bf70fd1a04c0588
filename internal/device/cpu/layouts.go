package cpu

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/device"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/plan"
)

// layouts chooses the layout of each weight. A matrix that matrix products read
// on their right side, and otherwise at most embeddings, is stored in panels:
// as it is, or transposed where all products transpose it.
func (c *code) layouts() {
	p := c.prog
	wants := map[int]layout{}
	want := func(v int, l layout) {
		base := p.Res.Base[v]
		had, seen := wants[base]
		switch {
		case p.Plan().Values[base].Kind != plan.KindWeight:
		case base != v, seen && had != l && had.kind != anyLayout && l.kind != anyLayout:
			wants[base] = layout{}
		case !seen || had.kind == anyLayout:
			wants[v] = l
		}
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		for k, step := range g.Steps {
			for j, v := range p.Plan().Steps[step].In {
				l := layout{}
				switch o := p.Res.Ops[step].(type) {
				case op.MatMul:
					if g.Kind == program.Linear && j == 1 && !o.TransB {
						l.kind = panels
					} else if g.Kind == program.Linear && j == 1 {
						l.kind = columns
					}
				case op.Conv2D:
					if g.Kind == program.Convolve && k == 0 && j == 1 {
						l = c.filters(g)
					}
				case op.Embedding:
					if j == 0 {
						l.kind = anyLayout
					}
				}
				want(v, l)
			}
		}
	}
	for _, o := range p.Plan().Outputs {
		want(o.Value, layout{})
	}
	c.takeLayouts(wants)
}

// takeLayouts gives weights the layouts that their readers request.
func (c *code) takeLayouts(wants map[int]layout) {
	p := c.prog
	forms := map[plan.Hash][]layout{}
	for v := range p.Plan().Values {
		if p.Plan().Values[v].Kind != plan.KindWeight {
			continue
		}
		h, l := p.Plan().Values[v].Hash, wants[v]
		l.spec = device.SpecOf(&p.Plan().Values[v])
		asIs := layout{spec: l.spec}
		c.layout[v] = asIs
		if l.kind == anyLayout || l == asIs {
			continue
		}
		if !slices.Contains(forms[h], l) {
			if len(forms[h]) == maxLayouts {
				continue
			}
			forms[h] = append(forms[h], l)
		}
		c.layout[v] = l
	}
}

// maxLayouts bounds the layouts of one content in a program: beyond it, readers
// take the content as it is. Each layout is a copy, and is searched for among
// the others.
const maxLayouts = 16

// filters is how the filters of a convolution are stored.
func (c *code) filters(g *program.Group) layout {
	p := c.prog
	if !g.Conv.PackedOnce(p.Plan()) {
		return layout{}
	}
	l := layout{kind: filters, conv: g.Conv.Geometry}
	shape, err := p.Plan().Values[g.Conv.Filters].Spec.Shape.Eval(nil)
	if err != nil {
		return layout{} // not a weight of a plan that has passed its checks
	}
	l.algorithm = filterShape(&g.Conv, shape).Algorithm()
	l.conv.Pad = [2]int{}
	var all []byte
	for _, v := range g.Conv.Folded(p.Plan()) {
		all = append(all, p.Plan().Values[v].Hash[:]...)
	}
	if n := g.Conv.Norm; n >= 0 {
		all = binary.LittleEndian.AppendUint64(all, math.Float64bits(p.Res.Ops[n].(op.BatchNorm).Eps))
	}
	if len(all) > 0 {
		l.fold = plan.HashEncoded(all)
	}
	return l
}

// matrix is the [k, n] of a weight of this shape in layout f.
func (f layoutKind) matrix(shape []int) (k, n int) {
	switch f {
	case panels:
		return shape[0], shape[1]
	case columns:
		return shape[1], shape[0]
	case dense, filters, anyLayout:
	}
	return 0, 0
}
