package genie

import (
	"iter"
	"sync"
	"weak"

	"github.com/genie-sdk/go/lazy"
)

// perGraph holds a value for each graph that its owner works with. The value is
// stored with the graph ([lazy.Graph.Memo]) and may refer to it: it is freed
// with the graph, or when the owner is done. perGraph itself has only weak
// pointers, by which the owner finds the values of the live graphs.
type perGraph[T any] struct {
	mu     sync.Mutex
	closed bool
	graphs map[weak.Pointer[lazy.Graph]]struct{}
	sweep  int // number of entries at which those of dead graphs are removed
}

// sweepFrom is the number of entries below which no sweep runs.
const sweepFrom = 64

// of is the value of a graph; nil for none.
func (p *perGraph[T]) of(g *lazy.Graph) *T {
	v, ok := g.Memo().Load(p)
	if !ok {
		return nil
	}
	return v.(*T)
}

// set stores the value of a graph.
func (p *perGraph[T]) set(g *lazy.Graph, v *T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.note(g) {
		g.Memo().Store(p, v)
	}
}

// setOnce stores the value of a graph unless it has one, and returns the stored
// value.
func (p *perGraph[T]) setOnce(g *lazy.Graph, v *T) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.note(g) {
		return v
	}
	have, _ := g.Memo().LoadOrStore(p, v)
	return have.(*T)
}

// note records a graph; false when the owner is done. The caller holds the
// lock.
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

// alive lists the live graphs.
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

// all iterates over the values of the live graphs.
func (p *perGraph[T]) all() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for _, g := range p.alive() {
			if v := p.of(g); v != nil && !yield(v) {
				return
			}
		}
	}
}

// done drops all values; the owner needs none any more.
func (p *perGraph[T]) done() {
	graphs := p.alive()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed, p.graphs = true, nil
	for _, g := range graphs {
		g.Memo().Delete(p)
	}
}
