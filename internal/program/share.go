package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// share assigns scratch buffers to the values that groups write. The plan's own
// assignment is valid for its steps one by one, not for groups of them.
func (p *Program) share() {
	def, last := make([]int, len(p.Places)), make([]int, len(p.Places))
	for v := range def {
		def[v] = -1
	}
	for g := range p.Groups {
		k := &p.Groups[g]
		def[p.Res.Base[k.Out]] = g
		last[p.Res.Base[k.Out]] = g
		for _, i := range k.Steps {
			for _, v := range p.plan.Steps[i].In {
				last[p.Res.Base[v]] = g
			}
		}
	}
	for _, o := range p.plan.Outputs {
		last[p.Res.Base[o.Value]] = len(p.Groups)
	}
	for _, s := range p.plan.States {
		last[p.Res.Base[s.Out]] = len(p.Groups)
	}
	var lives []op.Lifetime
	for v := range p.Places {
		p.Places[v].Buffer = plan.NoBuffer
		if p.Res.InScratch(v) && def[v] >= 0 {
			lives = append(lives, op.Lifetime{Value: v, Def: def[v], Last: last[v]})
		}
	}
	buffers, n := p.assign(lives)
	for i, l := range lives {
		p.Places[l.Value].Buffer = int32(buffers[i])
	}
	p.Buffers = n
}

// assign assigns scratch buffers to values. Branches run concurrently, so they
// share none.
func (p *Program) assign(lives []op.Lifetime) (buffers []int, n int) {
	if len(p.Lanes) == 0 {
		return op.AssignBuffers(p.plan, lives)
	}
	buffers = make([]int, len(lives))
	for lane := range len(p.Lanes) + 1 {
		var own []op.Lifetime
		var at []int
		for i, l := range lives {
			if p.LaneOf(l.Def) == lane {
				own, at = append(own, l), append(at, i)
			}
		}
		assigned, count := op.AssignBuffers(p.plan, own)
		for i, b := range assigned {
			buffers[at[i]] = n + b
		}
		n += count
	}
	return buffers, n
}
