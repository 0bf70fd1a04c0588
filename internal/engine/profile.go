package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// label is what a group computes: its operators, with the shape of a weight
// that it multiplies with.
func (g *group) label(p *plan.Plan, res *op.Resolved) string {
	var b strings.Builder
	for i, s := range g.steps {
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

// addProfile adds the times of the groups of one run.
func (e *Engine) addProfile(p *Program, times []time.Duration, total time.Duration) {
	e.kernelNS.Add(int64(total))
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.profile == nil {
		e.profile = map[string]time.Duration{}
	}
	for i, d := range times {
		e.profile[p.labels[i]] += d
	}
}
