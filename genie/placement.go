package genie

import (
	"errors"
	"maps"
	"math/bits"

	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// WithPlacement makes [Open] use all workers of a list together: each plan is
// divided over them as p decides, such as semantic.PlacePipeline. Results have the
// bits that one worker gives. Speeds and links are measured when the workers join,
// and links from the traffic of runs since; programs without carried state are
// placed anew when a size doubles. Carried state stays where the first plan of a
// program puts it. A program that does not fit any way that p knows is
// semantic.ErrPlacement.
//
// It has no effect on a single worker and on [NewClient]. The default uses one
// worker at a time.
func WithPlacement(p semantic.Placement) Option {
	return optionFunc(func(o *options) { o.placement = p })
}

// placing is what the placement of one plan needs.
type placing struct {
	view  *clusterView
	sizes plan.Bindings // of the symbols
	class uint64        // of the sizes; plans of another class are placed separately
}

// typicalSizes stand for a size that is not known when a plan is made: the first
// with which the program can run.
var typicalSizes = [...]int{16, 8, 1}

// unknownSize is a size that is not known.
const unknownSize = -1

// placing is that of a plan of p for runs of these sizes; nil without a cluster.
func (c *Client) placing(p *program, names plan.Bindings, class uint64) *placing {
	if c.view == nil {
		return nil
	}
	w := &placing{view: c.view, sizes: make(plan.Bindings, len(p.symbols))}
	for _, s := range p.symbols {
		n, ok := names[s]
		if !ok {
			n = unknownSize
		}
		w.sizes[s] = n
	}
	if len(p.carries) == 0 { // carried state cannot move with the sizes
		w.class = class
	}
	return w
}

// sizeClass distinguishes sizes by powers of two. Two classes may rarely be equal:
// then the placement is that of the other.
func (l *loop) sizeClass() uint64 {
	class := uint64(1)
	for _, n := range l.sizes {
		class = class*67 + uint64(bits.Len(uint(n+1)))
	}
	return class
}

// schedule makes a plan and places it, if there is a cluster.
func (w *placing) schedule(policy semantic.Policy, p *program, r semantic.Request) (sch *semantic.Schedule, err error) {
	if w == nil {
		return policy.Schedule(p.srg, r)
	}
	for _, typical := range typicalSizes {
		sch, err = policy.Schedule(p.srg, w.ask(r, p.homes, typical))
		if err == nil || !errors.Is(err, ErrPlacement) {
			break
		}
	}
	return sch, err
}

// ask is a request with the cluster; typical is for the sizes that are not known.
func (w *placing) ask(r semantic.Request, homes map[string]int, typical int) semantic.Request {
	if w == nil {
		return r
	}
	sizes := maps.Clone(w.sizes)
	for s, n := range sizes {
		if n == unknownSize {
			sizes[s] = typical
		}
	}
	r.Cluster, r.Placement, r.Sizes, r.StateAt = w.view.snapshot(), w.view.placement, sizes, homes
	return r
}

// took remembers where a plan puts carried state.
func (w *placing) took(sch *semantic.Schedule, homes map[string]int) {
	if w == nil || sch.Placed == nil {
		return
	}
	for name, d := range sch.Placed.State {
		if _, ok := homes[name]; !ok {
			homes[name] = d
		}
	}
}
