package semantic

import (
	"slices"

	"github.com/genie-sdk/go/lazy"
)

// residencies finds the lifetime of every value. The first rule that holds
// applies:
//
//  1. a hint;
//  2. stateful_kv_cache: input, update and output of a KV cache, and views of
//     them;
//  3. persistent_weight: weights and constants, and views of them;
//  4. recurrent_state: input and output of a carried pair of f32 of one shape
//     whose output is computed from its own input, such as the state of a
//     recurrent network or a running sum; a pair that passes its input on is
//     not one, nor is a token that is fed back or a log that grows;
//  5. external_input: inputs, including other carried ones;
//  6. external_output: declared outputs, and other values carried out of the
//     run;
//  7. ephemeral_activation.
//
// Views are the tensors that expose another tensor's memory: reshapes,
// transposes, slices, identities.
type residencies struct{}

func (residencies) Name() string { return "residency" }

func (residencies) Recognise(a *analysis) error {
	for i := range a.Caches {
		c := &a.Caches[i]
		pair := a.Graph.Carries()[c.Carry]
		a.Nodes[pair.In.ID()].Residency = StatefulKVCache
		add, _ := additionOf(c.Update)
		last, post := a.source(pair.Out)
		if c.Mode == CacheRoll && last != c.Update {
			_, between := a.source(last.In()[0])
			post = append(post, between...)
		}
		_, pre := a.source(c.Update.In()[add.old])
		for _, t := range append(append(post, pre...), c.Update, last) {
			a.Nodes[t.ID()].Residency = StatefulKVCache
		}
	}
	for i, pair := range a.Graph.Carries() {
		if a.replacesItself(i, pair) {
			a.Nodes[pair.In.ID()].Residency, a.Nodes[pair.Out.ID()].Residency = RecurrentState, RecurrentState
		}
	}
	for id, t := range a.tensors {
		n := &a.Nodes[id]
		switch {
		case n.Residency == StatefulKVCache, n.Residency == RecurrentState:
		case t.Kind() == lazy.KindWeight, t.Kind() == lazy.KindConst:
			n.Residency = PersistentWeight
		case t.Kind() == lazy.KindInput:
			n.Residency = ExternalInput
		case isView(t):
			if r := a.Nodes[t.In()[0].ID()].Residency; r == StatefulKVCache || r == PersistentWeight {
				n.Residency = r
			}
		}
	}
	out := func(t *lazy.Tensor) {
		if n := &a.Nodes[t.ID()]; n.Residency == EphemeralActivation {
			n.Residency = ExternalOutput
		}
	}
	for _, o := range a.Graph.Outputs() {
		out(o.Tensor)
	}
	for _, c := range a.Graph.Carries() {
		out(c.Out)
	}
	for id, r := range a.hints.residency {
		a.Nodes[id].Residency = r
	}
	return nil
}

// replacesItself reports whether the output of a carried pair that is no cache is
// computed from its own input.
func (a *analysis) replacesItself(i int, pair lazy.Carried) bool {
	if pair.In.DType() != lazy.F32 || !pair.In.Shape().Equal(pair.Out.Shape()) || slices.ContainsFunc(a.Caches, func(c Cache) bool { return c.Carry == i }) {
		return false
	}
	if src, _ := a.source(pair.Out); src == pair.In {
		return false
	}
	depends := make([]bool, len(a.tensors))
	depends[pair.In.ID()] = true
	for id := pair.In.ID() + 1; id <= pair.Out.ID(); id++ {
		for _, in := range a.tensors[id].In() {
			depends[id] = depends[id] || depends[in.ID()]
		}
	}
	return depends[pair.Out.ID()] && !a.Nodes[pair.Out.ID()].Sampling
}
