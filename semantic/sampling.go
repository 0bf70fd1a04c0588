package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// sampling marks the operators that sample a token, the sample operator and the
// argmax (or the index of the largest) over a vocabulary, and everything
// computed from such tokens and constants alone. A vocabulary has as many
// entries as a table that embeds text has rows: the argmax of a classifier does
// not sample a token.
type sampling struct{}

func (sampling) Name() string { return "sampling" }

func (sampling) Recognise(a *analysis) error {
	vocab := a.vocabularies()
	over := func(d plan.Dim) bool { return slices.ContainsFunc(vocab, d.Equal) }
	for id, t := range a.tensors {
		if a.Nodes[id].Dead || t.Op() == nil {
			continue
		}
		var chooses bool
		switch o := t.Op().(type) {
		case op.Sample:
			chooses = true
		case op.ArgMax:
			chooses = over(t.In()[0].Dim(o.Axis))
		case op.TopK:
			chooses = o.Indices && o.K == 1 && over(t.In()[0].Dim(-1))
		default:
			chooses = a.fromTokens(t)
		}
		a.Nodes[id].Sampling = chooses
	}
	return nil
}

func (a *analysis) fromTokens(t *lazy.Tensor) bool {
	tokens := false
	for _, in := range t.In() {
		switch {
		case a.Nodes[in.ID()].Sampling:
			tokens = true
		case in.Kind() != lazy.KindConst:
			return false
		}
	}
	return tokens
}

// vocabularies are the row counts of the tables that embed text. Of embeddings
// that are added up, only the one with the most rows counts: the others embed
// positions or types.
func (a *analysis) vocabularies() []plan.Dim {
	group := make([]int, len(a.tensors)) // 1 + the embedding that a sum leads to
	var embeddings []int
	for id, t := range a.tensors {
		if a.Nodes[id].Dead || a.Nodes[id].Modality != ModalityText && !is(t, "add") {
			continue
		}
		if _, ok := t.Op().(op.Embedding); ok {
			if a.fixed[t.In()[0].ID()] {
				group[id] = id + 1
				embeddings = append(embeddings, id)
			}
			continue
		}
		if i, ok := a.passThrough(t); ok {
			group[id] = group[t.In()[i].ID()]
			continue
		}
		if is(t, "add") {
			group[id] = larger(a, group, t)
		}
	}
	var out []plan.Dim
	for _, id := range embeddings {
		if group[id] == id+1 {
			out = append(out, a.tensors[id].In()[0].Dim(0))
		}
	}
	return out
}

// larger merges the groups of a sum's terms and returns the leading one.
func larger(a *analysis, group []int, t *lazy.Tensor) int {
	lead := func(g int) int {
		for g > 0 && group[g-1] != g {
			g = group[g-1]
		}
		return g
	}
	x, y := lead(group[t.In()[0].ID()]), lead(group[t.In()[1].ID()])
	if x == 0 || y == 0 || x == y {
		return max(x, y)
	}
	rows := func(g int) int {
		n, _ := a.tensors[g-1].In()[0].Dim(0).Const()
		return n
	}
	if rows(x) < rows(y) {
		x, y = y, x
	}
	group[y-1] = x
	return x
}
