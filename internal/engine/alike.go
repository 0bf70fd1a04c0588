package engine

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Plans that differ in their labels only compute the same, such as the plans of
// a prefill and of a decode step where the policy has made no difference
// between the two. Their programs share code, so that their calls run in one
// dynamic batch. Each counts the memory of a program of its own, since it may
// outlive the others.

// computes is the hash of a plan without its labels.
func computes(p *plan.Plan) (plan.Hash, error) {
	bare := *p
	bare.Name, bare.Phase, bare.Policy = "", "", ""
	encoded, err := bare.Encode()
	if err != nil {
		return plan.Hash{}, err
	}
	return plan.HashEncoded(encoded), nil
}

// likeness makes a program of a plan from one that computes the same; nil if
// there is none.
func (e *Engine) likeness(on *incarnation, same plan.Hash, p *plan.Plan) *Program {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, q := range e.alike[same] {
		if q.on == on {
			return &Program{
				Program: q.For(p), on: on, code: q.code, layout: q.layout, keys: q.keys, keyOf: q.keyOf, keysOf: q.keysOf,
				crossed: q.crossed, batching: q.batching, division: q.division,
			}
		}
	}
	return nil
}

// counts records that a program counts. The caller holds the engine's lock.
func (e *Engine) counts(p *Program) {
	if !p.counted {
		p.counted = true
		e.alike[p.same] = append(e.alike[p.same], p)
	}
}

// unlike removes a program from those that others are made from. The caller
// holds the engine's lock.
func (e *Engine) unlike(p *Program) {
	list := slices.DeleteFunc(e.alike[p.same], func(q *Program) bool { return q == p })
	if len(list) == 0 {
		delete(e.alike, p.same)
		return
	}
	e.alike[p.same] = list
}

// Batch identifies the calls that run in dynamic batches with the program's. It
// is comparable.
func (p *Program) Batch() any {
	if p.batching == nil {
		return p
	}
	return p.batching
}
