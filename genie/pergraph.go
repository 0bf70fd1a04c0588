package genie

import (
	"iter"
	"sync"
	"weak"

	"github.com/genie-sdk/go/lazy"
)

// perGraph holds a value for each graph that its owner works with. The value is
// stored with the graph ([lazy.Graph.Memo]) and may refer to it: it goes with the
// graph, or when the owner is done. Here are weak pointers alone, by which the
// owner finds the values of the graphs that are still there.
type perGraph[T any] struct {
	mu     sync.Mutex
	closed bool
	graphs map[weak.Pointer[lazy.Graph]]struct{}
	sweep  int // entries at which those of graphs that are gone are looked for
}

// sweepFrom is how many entries are left alone.
const sweepFrom = 64

// of is the value of a graph; nil for none.
func (p *perGraph[T]) of(g *lazy.Graph) *T {
	v, ok := g.Memo().Load(p)
	if !ok {
		return nil
	}
	return v.(*T)
}

// set gives a graph a value.
func (p *perGraph[T]) set(g *lazy.Graph, v *T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.note(g) {
		g.Memo().Store(p, v)
	}
}

// setOnce gives a graph a value unless it has one, and returns which it has.
func (p *perGraph[T]) setOnce(g *lazy.Graph, v *T) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.note(g) {
		return v
	}
	have, _ := g.Memo().LoadOrStore(p, v)
	return have.(*T)
}

// note remembers a graph; false when the owner is done. The caller has the lock.
func (p *perGraph[T]) note(g *lazy.Graph) bool {
	if p.closed {
		return false
	}
	if p.graphs == nil {
		p.graphs = map[weak.Pointer[lazy.Graph]]struct{}{}
	}
	p.graphs[weak.Make(g)] = struct{}{}
	if len(p.graphs) > max(p.sweep, sweepFrom) {
		for w := range p.graphs {
			if w.Value() == nil {
				delete(p.graphs, w)
			}
		}
		p.sweep = 2 * len(p.graphs)
	}
	return true
}

// alive lists the graphs that are still there.
func (p *perGraph[T]) alive() []*lazy.Graph {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]*lazy.Graph, 0, len(p.graphs))
	for w := range p.graphs {
		if g := w.Value(); g != nil {
			out = append(out, g)
		}
	}
	return out
}

// all goes through the values of the graphs that are still there.
func (p *perGraph[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, g := range p.alive() {
			if v := p.of(g); v != nil && !yield(v) {
				return
			}
		}
	}
}

// done drops all values: the owner wants none any more.
func (p *perGraph[T]) done() {
	graphs := p.alive()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.graphs = true, nil
	for _, g := range graphs {
		g.Memo().Delete(p)
	}
}
