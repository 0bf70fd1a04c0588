package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// sampling marks what chooses a token, the sample operator and the
// argmax (or the index of the largest) over a vocabulary, and what is computed
// from such tokens and constants alone. A vocabulary is as many entries as a
// table has that text is embedded by: the argmax of a classifier is none.
type sampling struct{}

func (sampling) Name() string { return "sampling" }

func (sampling) Recognise(a *analysis) error {
	vocab := a.vocabularies()
	over := func(d plan.Dim) bool { return slices.ContainsFunc(vocab, d.Equal) }
	for id, t := range a.tensors {
		if a.Nodes[id].Dead || t.Op() == nil {
			continue
		}
		chooses := false
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
