package main

import (
	"fmt"

	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/semantic"
	"github.com/genie-sdk/go/transport/plan"
)

// Frugal is a policy for a worker that many small services share: it occupies
// the worker's memory only where that saves more than it costs.
//
//   - Weights stay on the worker if all of them together are larger than
//     SmallWeights; smaller ones travel with each run, and the worker forgets them.
//   - A carried value stays on the worker if it is a KV cache, which grows and would
//     travel twice a step. Another, such as a recurrent network's, is small: it comes
//     back, and a lost worker takes nothing away.
//   - Tokens are sampled on the worker if the caches are there, since logits are
//     larger than tokens.
//
// The decisions depend on the graph alone and not on the request: plans of one
// program share the state of a session, so prefill and decode must agree on its
// location.
type Frugal struct {
	SmallWeights int64 // bytes
}

var _ semantic.Policy = Frugal{}

// Decision is Frugal's decision for a program, with the reasons.
type Decision struct {
	WeightBytes int64 // as they are stored, each content once
	Caches      int   // KV caches among the carried pairs
	Carried     int   // carried pairs

	KeepWeights, KeepState bool
}

// Name implements [semantic.Policy].
func (f Frugal) Name() string { return "frugal" }

// Schedule implements [semantic.Policy]. It is a pure function: the same graph and
// request give the same plan.
func (f Frugal) Schedule(s *semantic.SRG, r semantic.Request) (*semantic.Schedule, error) {
	d, err := f.Decide(s)
	if err != nil {
		return nil, err
	}
	caches := map[int]bool{}
	for _, c := range s.Caches {
		caches[c.Carry] = true
	}
	return semantic.Rules{
		Features: semantic.Features{
			Label:   f.Name(),
			Weights: d.KeepWeights,
			State:   d.KeepState, Sampling: d.KeepState, Loop: d.KeepState,
			Prune: true, // computes only what is read; gives the same values
		},
		KeepState: func(carry int) bool { return caches[carry] },
	}.Schedule(s, r)
}

// Decide reads the semantic graph.
func (f Frugal) Decide(s *semantic.SRG) (Decision, error) {
	d := Decision{Caches: len(s.Caches), Carried: len(s.Graph.Carries())}
	seen := map[plan.Hash]bool{}
	for _, n := range s.Nodes {
		if n.Residency != semantic.PersistentWeight || n.Tensor.Kind() != lazy.KindWeight || n.Dead {
			continue
		}
		hash, storage := n.Tensor.WeightRef()
		elements, constant := n.Tensor.Shape().Elements().Const()
		if !constant {
			return Decision{}, fmt.Errorf("%w: weight %q has no constant shape", semantic.ErrPolicy, n.Tensor.Name())
		}
		if !seen[hash] {
			seen[hash] = true
			d.WeightBytes += int64(elements) * int64(storage.Size())
		}
	}
	d.KeepWeights = d.WeightBytes > f.SmallWeights
	d.KeepState = d.Caches > 0
	return d, nil
}
