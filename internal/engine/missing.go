package engine

import (
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// use records that a session uses the weights of p. None of them is evicted
// until the matching call of leave.
func (s *store) use(p *Program) {
	for keys := range slices.Chunk(p.keys, keysAtOnce) {
		s.useKeys(keys)
	}
}

// leave records that a session no longer uses the weights of p.
func (s *store) leave(p *Program) {
	for keys := range slices.Chunk(p.keys, keysAtOnce) {
		s.leaveKeys(keys)
	}
}

// Missing lists the weights of a program that the engine does not hold in the
// layout that the program needs.
func (e *Engine) Missing(p *Program) []plan.Value {
	var out []plan.Value
	for _, id := range e.MissingIDs(p) {
		out = append(out, p.Plan().Values[id])
	}
	return out
}

// MissingIDs is the ids of the values that [Engine.Missing] lists.
func (e *Engine) MissingIDs(p *Program) []int {
	var out []int
	for i, k := range p.keys {
		if p.on.store.get(k) == nil {
			out = append(out, p.keyOf[i])
		}
	}
	return out
}

// Fits reports whether there is room for the weights of p that the engine does
// not hold, and for those of which absent is true; the error is a
// [transport.MemoryError].
func (e *Engine) Fits(p *Program, absent func(plan.Hash) bool) error {
	need := int64(0)
	for i, k := range p.keys {
		if p.on.store.get(k) == nil || absent != nil && absent(k.hash) {
			size, err := p.code.WeightSizes(p.keyOf[i])
			if err != nil {
				return err
			}
			need += size.Held + weightHead
		}
	}
	return e.budget.Check(need, "the weights of the plan")
}

// KeepTags makes the engine retain, beside each weight that is loaded from now
// on, the tag derived from nonce and its content.
func (e *Engine) KeepTags(nonce transport.PossessionKey) { e.possession.Store(&nonce) }

// PossessionTag is the tag of weight id of a program; nil when the engine does
// not hold the weight in the layout that the program needs, or retains no tags.
func (e *Engine) PossessionTag(p *Program, id int) *transport.PossessionTag {
	layout, ok := p.layout[id]
	if !ok {
		return nil
	}
	w := p.on.store.get(p.on.key(p.Plan().Values[id].Hash, layout))
	if w == nil {
		return nil
	}
	return w.tag
}
