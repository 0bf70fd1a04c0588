package semantic

import (
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// assignBuffers assigns a buffer to every scratch value.
func assignBuffers(p *plan.Plan, t *custom.Table) error {
	r, err := op.ResolveFrom(t, p)
	if err != nil {
		return err
	}
	var lives []op.Lifetime
	for v := range p.Values {
		p.Values[v].Buffer = plan.NoBuffer
		if r.InScratch(v) {
			lives = append(lives, op.Lifetime{Value: v, Def: r.Def[v], Last: r.Last[v]})
		}
	}
	buffers, n := op.AssignBuffers(p, lives)
	for i, l := range lives {
		p.Values[l.Value].Buffer = buffers[i]
	}
	for v := range p.Values {
		if b := r.Base[v]; b != v {
			p.Values[v].Buffer = p.Values[b].Buffer
		}
	}
	p.Buffers = n
	return r.CheckBuffers()
}
