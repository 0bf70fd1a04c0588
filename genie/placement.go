package genie

import (
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

// typicalSize stands for a size that is not known when a plan is made.
const typicalSize = 16

// placing is that of a plan of p for runs of these sizes; nil without a cluster.
func (c *Client) placing(p *program, names plan.Bindings, class uint64) *placing {
	if c.view == nil {
		return nil
	}
	w := &placing{view: c.view, sizes: make(plan.Bindings, len(p.symbols))}
	for _, s := range p.symbols {
		n, ok := names[s]
		if !ok {
			n = typicalSize
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

// ask adds the cluster to a request.
func (w *placing) ask(r *semantic.Request, homes map[string]int) {
	if w == nil {
		return
	}
	r.Cluster, r.Placement, r.Sizes, r.StateAt = w.view.snapshot(), w.view.placement, w.sizes, homes
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
