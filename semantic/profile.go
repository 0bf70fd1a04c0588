package semantic

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Profile is a class of bindings that one plan serves: a predicate, not a
// size. Plans are cached by structure and profile.
type Profile struct {
	Phase Phase
}

// String names the profile.
func (p Profile) String() string { return p.Phase.String() }

// ProfileOf finds the profile of a run with the given sizes. With KV caches, a
// run over empty caches is a prefill, and so is one that adds several query
// rows; one query row per sequence against a longer cache is a decode. Without
// caches the profile is the phase of the graph as a whole.
func (s *SRG) ProfileOf(b plan.Bindings) (Profile, error) {
	if len(s.Caches) == 0 {
		return Profile{Phase: s.staticPhase()}, nil
	}
	decode := true
	for _, r := range s.rows {
		old, err := r.old.Eval(b)
		if err != nil {
			return Profile{}, fmt.Errorf("profile: cache %q: %w", s.Graph.Carries()[s.Caches[r.cache].Carry].In.Name(), err)
		}
		q, err := r.query.Eval(b)
		if err != nil {
			return Profile{}, fmt.Errorf("profile: cache %q: %w", s.Graph.Carries()[s.Caches[r.cache].Carry].In.Name(), err)
		}
		decode = decode && old > 0 && q == 1
	}
	if decode {
		return Profile{Phase: PhaseDecode}, nil
	}
	return Profile{Phase: PhasePrefill}, nil
}

// distinctRows lists the caches' sizes without repetition.
func distinctRows(caches []Cache) []cacheRows {
	var out []cacheRows
	for i, c := range caches {
		same := func(r cacheRows) bool { return r.old.Equal(c.Old) && r.query.Equal(c.Query) }
		if !slices.ContainsFunc(out, same) {
			out = append(out, cacheRows{i, c.Old, c.Query})
		}
	}
	return out
}
