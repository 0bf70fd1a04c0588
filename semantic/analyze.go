package semantic

import (
	"fmt"

	"github.com/genie-sdk/go/internal/normal"
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
	tensors  []*lazy.Tensor
	readers  [][]reader // by tensor id, live readers only
	constant []bool     // computed from weights and constants alone
	attn     []attention
	carried  []bool // inputs that are carried into
	uniform  map[int]float32
	hints    hintTable
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
	a := newAnalysis(g)
	if err := a.addHints(hints); err != nil {
		return nil, err
	}
	form, err := normal.Of(g, a.hinted(), a.hintedApart())
	if err != nil {
		return nil, err
	}
	if form.Graph == g {
		a.Notes = form.Notes
		return a.recognise()
	}
	c := newAnalysis(form.Graph)
	c.hints = a.hints.translate(form.To)
	core, err := c.recognise()
	if err != nil {
		return nil, err
	}
	return lift(a, form, core)
}

func newAnalysis(g *lazy.Graph) *analysis {
	ts := g.Tensors()
	a := &analysis{SRG: &SRG{Graph: g, Nodes: make([]Node, len(ts)), stored: storages(ts)}, tensors: ts, constant: make([]bool, len(ts))}
	for i, t := range ts {
		a.Nodes[i].Tensor = t
		a.constant[i] = t.Kind() != lazy.KindInput
		for _, in := range t.In() {
			a.constant[i] = a.constant[i] && a.constant[in.ID()]
		}
	}
	a.outputs, a.carries = len(g.Outputs()), len(g.Carries())
	return a
}

// recognise finds the meaning of a program in normal form.
func (a *analysis) recognise() (*SRG, error) {
	a.carried = make([]bool, len(a.tensors))
	for _, c := range a.Graph.Carries() {
		a.carried[c.In.ID()] = true
	}
	a.findUniform()
	for _, r := range recognisers() {
		if err := r.Recognise(a); err != nil {
			return nil, fmt.Errorf("%s: %w", r.Name(), err)
		}
	}
	a.rows = distinctRows(a.Caches)
	return a.SRG, nil
}

// is reports whether the operator named name computes t.
func is(t *lazy.Tensor, name string) bool {
	o := t.Op()
	return o != nil && o.Name() == name
}
