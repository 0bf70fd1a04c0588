package genie

import (
	"context"
	"sync/atomic"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// What a client and its sessions remember about a program, so that its next run
// need not analyse, schedule and prepare it again, is stored with its graph. It
// is freed with the graph, or when client or session are closed. Everything
// that grows has limits.
const (
	maxPlans  = 4096 // of one program: made, and prepared in a session
	maxStates = 1024 // programs that carry values in a session, between two Resets
)

// analysed is where a client stores what it knows of a graph.
type analysed struct {
	making chan struct{} // one token: its holder analyses
	p      atomic.Pointer[program]
}

// current is the program, unless the graph has grown since it was analysed.
func (a *analysed) current() *program {
	if p := a.p.Load(); p != nil && !p.srg.Outdated() {
		return p
	}
	return nil
}

// program is what the client knows about a graph. Of concurrent callers one
// analyses it; the others wait, no longer than ctx.
func (c *Client) program(ctx context.Context, g *lazy.Graph) (*program, error) {
	a := c.programs.of(g)
	if a == nil {
		a = c.programs.setOnce(g, &analysed{making: oneToken()})
	}
	if p := a.current(); p != nil {
		return p, nil
	}
	if err := take(ctx, a.making, "the analysis of "+g.Name()); err != nil {
		return nil, err
	}
	defer func() { a.making <- struct{}{} }()
	if p := a.current(); p != nil {
		return p, nil
	}
	srg, err := semantic.Analyze(g, c.opts.hints...)
	if err != nil {
		return nil, err
	}
	p := newProgram(g, srg)
	a.p.Store(p)
	return p, nil
}

// remember notes that a plan is prepared. When there are too many, all are
// forgotten: to prepare one again takes one short round trip at most.
func (l *loop) remember(p *plan.Plan, ref transport.PlanRef) {
	if len(l.prepared) >= maxPlans {
		clear(l.prepared)
	}
	l.prepared[p] = ref
}
