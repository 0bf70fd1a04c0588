package program

import (
	"fmt"
	"strings"

	"github.com/genie-sdk/go/internal/op"
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

// label is what a group computes: its operators, with the shape of a weight
// that it multiplies with.
func (g *Group) label(p *plan.Plan, res *op.Resolved) string {
	var b strings.Builder
	for i, s := range g.Steps {
		if res.View[s] {
			continue
		}
		if i > 0 {
			b.WriteByte('+')
		}
		b.WriteString(p.Steps[s].Op)
		for _, v := range p.Steps[s].In {
			if w := &p.Values[v]; w.Kind == plan.KindWeight && len(w.Spec.Shape) > 1 {
				fmt.Fprintf(&b, "%v", w.Spec.Shape)
			}
		}
	}
	return b.String()
}
