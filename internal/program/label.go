package program

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// label labels the groups, and counts their steps.
func (p *Program) label() {
	p.StepsBefore = make([]int, 1, len(p.Groups)+1)
	for i := range p.Groups {
		p.StepsBefore = append(p.StepsBefore, p.StepsBefore[i]+len(p.Groups[i].Steps))
		p.Labels = append(p.Labels, p.Groups[i].label(p.plan, p.Res))
	}
}

// label is what a group computes, see [transport.GroupName].
func (g *Group) label(p *plan.Plan, res *op.Resolved) string {
	return transport.GroupName(p, g.Computed(res))
}

// Computed is the steps of the group that are not views.
func (g *Group) Computed(res *op.Resolved) []int {
	out := make([]int, 0, len(g.Steps))
	for _, s := range g.Steps {
		if !res.View[s] {
			out = append(out, s)
		}
	}
	return out
}
