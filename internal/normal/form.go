package normal

import (
	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// Form is a program in normal form.
type Form struct {
	// Graph is the program: the captured graph itself if nothing was rewritten.
	// It has no Gorgonia nodes unless it is the captured graph.
	Graph *lazy.Graph
	// To is the tensor of Graph with the value of each captured tensor, by the
	// captured tensor's id.
	To []*lazy.Tensor
	// Notes are patterns that nearly matched.
	Notes []Note
}

// Note says why a pattern that nearly matched was not taken.
type Note struct {
	Rule   string       // the pattern, such as attention
	At     *lazy.Tensor // the captured tensor that it would have computed
	Reason string       // such as "the mask depends on data"
}

// Of rewrites a captured program. Somebody means the tensors in keep and no
// others: they are wanted, as outputs are, and share no value with another
// captured tensor. Nothing looks through those in apart, moreover.
func Of(g *lazy.Graph, keep, apart []*lazy.Tensor) (*Form, error) {
	if err := g.Err(); err != nil {
		return nil, err
	}
	f := newForming(g, keep, apart)
	for id, t := range f.tensors {
		f.tensor(id, t)
	}
	form := &Form{Notes: f.b.notes}
	if !f.b.rewrote {
		form.Graph, form.To = g, f.tensors
		return form, nil
	}
	var err error
	form.Graph, form.To, err = f.emit()
	return form, err
}

// forming is a program while it is rewritten.
type forming struct {
	g       *lazy.Graph
	tensors []*lazy.Tensor
	b       *builder
	of      []*node // by captured tensor
	wanted  []bool  // by captured tensor
	kept    []bool  // by captured tensor: it shares no value with others
	apart   []bool  // by captured tensor
}

func newForming(g *lazy.Graph, keep, apart []*lazy.Tensor) *forming {
	ts := g.Tensors()
	f := &forming{g: g, tensors: ts, b: newBuilder(), of: make([]*node, len(ts)), wanted: make([]bool, len(ts)), kept: make([]bool, len(ts)), apart: make([]bool, len(ts))}
	f.b.weight, f.b.carried = g.Weight, map[*lazy.Tensor]bool{}
	for _, c := range g.Carries() {
		f.b.carried[c.In] = true
	}
	for _, o := range g.Outputs() {
		f.wanted[o.Tensor.ID()] = true
	}
	for _, c := range g.Carries() {
		f.wanted[c.Out.ID()] = true
	}
	for _, t := range keep {
		f.wanted[t.ID()], f.kept[t.ID()] = true, t.Op() != nil
	}
	for _, t := range apart {
		f.apart[t.ID()] = t.Op() != nil
		f.b.rewrote = f.b.rewrote || t.Op() != nil
	}
	return f
}

// tensor finds the value of a captured tensor.
func (f *forming) tensor(id int, t *lazy.Tensor) {
	f.b.at, f.b.fuel = t, fuelPerTensor
	o := lazygraph.Op(t)
	if o == nil {
		f.of[id] = f.b.leaf(t)
		f.of[id].taken = true
		return
	}
	in := make([]*node, len(t.In()))
	for i, x := range t.In() {
		in[i] = f.of[x.ID()]
	}
	made := len(f.b.nodes)
	n := f.b.normal(o, t.Spec(), in)
	if n.seq < made {
		f.b.rewrote = true // it is the value of another tensor, too
	}
	if f.apart[id] || n.alone || n.taken && f.kept[id] {
		n = f.b.barrier(n)
	}
	n.taken, n.alone = true, f.kept[id]
	n.wanted = n.wanted || f.wanted[id]
	f.of[id] = n
}

// barrier is n as a value of its own, which no rule looks through.
func (b *builder) barrier(n *node) *node {
	x := &node{op: op.Identity{}, in: []*node{n}, spec: n.spec, at: b.at}
	b.store(x)
	return x
}
