package semantic

import "github.com/genie-sdk/go/lazy"

// residencies finds the lifetime of every value. The first rule that holds
// applies:
//
//  1. a hint;
//  2. stateful_kv_cache: input, update and output of a KV cache, and views of
//     them;
//  3. persistent_weight: weights and constants, and views of them;
//  4. external_input: inputs, including carried ones that are not a cache;
//  5. external_output: declared outputs, and values carried out of the run
//     that are not a cache;
//  6. ephemeral_activation.
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
		_, post := a.source(pair.Out)
		_, pre := a.source(c.Update.In()[0])
		for _, t := range append(append(post, pre...), c.Update) {
			a.Nodes[t.ID()].Residency = StatefulKVCache
		}
	}
	for id, t := range a.tensors {
		n := &a.Nodes[id]
		switch {
		case n.Residency == StatefulKVCache:
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
