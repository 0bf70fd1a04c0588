package semantic

import (
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// BatchSymbol finds the symbol that a plan computes entry by entry: every output
// counts it along its first axis, and each entry depends on the same entry of the
// inputs alone. A run over it may be divided into runs over parts of the batch,
// with the same bits. A plan with carried state, retained outputs or operators of
// a user has none.
func BatchSymbol(p *plan.Plan) (symbol string, ok bool) {
	if len(p.States) > 0 || len(p.Outputs) == 0 {
		return "", false
	}
	for _, o := range p.Outputs {
		if o.Place != plan.Download {
			return "", false
		}
	}
	for _, in := range p.Inputs {
		shape := p.Values[in.Value].Spec.Shape
		if len(shape) == 0 {
			continue
		}
		if s, ok := shape[0].Symbol(); ok && entryByEntry(p, s) {
			return s, true
		}
	}
	return "", false
}

// entryByEntry reports whether a plan computes the entries of a batch apart.
func entryByEntry(p *plan.Plan, symbol string) bool {
	batched := make([]bool, len(p.Values))
	known := func(v int) bool { // marks a value that has the batch as it should
		shape := p.Values[v].Spec.Shape
		for i, d := range shape {
			if !slices.Contains(d.Symbols(nil), symbol) {
				continue
			}
			each, ok := d.Div(plan.Sym(symbol))
			if i > 0 || !ok || slices.Contains(each.Symbols(nil), symbol) {
				return false
			}
			batched[v] = true
		}
		return true
	}
	for _, in := range p.Inputs {
		if !known(in.Value) {
			return false
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		if !known(s.Out) || !stepByEntry(p, s, batched) {
			return false
		}
	}
	for _, o := range p.Outputs {
		if !batched[o.Value] {
			return false
		}
	}
	return true
}

// stepByEntry reports whether a step computes the entries of a batch apart.
func stepByEntry(p *plan.Plan, s *plan.Step, batched []bool) bool {
	of := make([]bool, len(s.In))
	in := make([]plan.Spec, len(s.In))
	for i, v := range s.In {
		of[i], in[i] = batched[v], p.Values[v].Spec
	}
	if !slices.Contains(of, true) {
		return !batched[s.Out] // else it is made from the size of the batch
	}
	o, err := op.New(s.Op, s.Attrs)
	out := p.Values[s.Out].Spec
	if err != nil || !batched[s.Out] || !op.Batch(o, in, out, of) {
		return false
	}
	if _, ok := o.(op.Reshape); ok {
		return true
	}
	for i := range in {
		if of[i] && !in[i].Shape[0].Equal(out.Shape[0]) {
			return false
		}
	}
	return true
}
