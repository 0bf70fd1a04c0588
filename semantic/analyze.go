package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
)

// recogniser finds one kind of meaning and records it in the analysis.
type recogniser interface {
	Name() string
	Recognise(a *analysis) error
}

// recognisers run in this order; each may use the results of those before it.
func recognisers() []recogniser {
	return []recogniser{
		liveness{},
		attentions{},
		caches{},
		modalities{},
		sampling{},
		residencies{},
		branches{},
		phases{},
	}
}

// reader is one use of a tensor: the reading tensor and the input position.
type reader struct{ id, operand int }

// analysis is a graph while it is being recognised.
type analysis struct {
	*SRG
	tensors []*lazy.Tensor
	readers [][]reader // by tensor id, live readers only
	fixed   []bool     // computed from weights and constants alone
	attn    []attention
	carried []bool // inputs that are carried into
	uniform map[int]float32
	hints   hintTable
}

// Analyze derives the meaning of g's tensors. Hints override what it
// recognises. Errors: the program's capture error; a hint about a tensor of
// another graph, or one that cannot hold.
func Analyze(g *lazy.Graph, hints ...Hint) (*SRG, error) {
	if g == nil {
		return nil, fmt.Errorf("%w: no graph", lazy.ErrCapture)
	}
	if err := g.Err(); err != nil {
		return nil, err
	}
	a := &analysis{SRG: &SRG{Graph: g, Nodes: make([]Node, len(g.Tensors())), stored: storages(g.Tensors())}, tensors: g.Tensors()}
	if err := a.addHints(hints); err != nil {
		return nil, err
	}
	a.fixed = make([]bool, len(a.tensors))
	a.carried = make([]bool, len(a.tensors))
	for _, c := range g.Carries() {
		a.carried[c.In.ID()] = true
	}
	for i, t := range a.tensors {
		a.Nodes[i].Tensor = t
		a.fixed[i] = t.Kind() != lazy.KindInput
		for _, in := range t.In() {
			a.fixed[i] = a.fixed[i] && a.fixed[in.ID()]
		}
	}
	a.findUniform()
	for _, r := range recognisers() {
		if err := r.Recognise(a); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name(), err)
		}
	}
	a.rows = distinctRows(a.Caches)
	a.outputs, a.carries = len(g.Outputs()), len(g.Carries())
	return a.SRG, nil
}

// is reports whether the operator named name computes t.
func is(t *lazy.Tensor, name string) bool {
	o := t.Op()
	return o != nil && o.Name() == name
}
