package cluster

import (
	"slices"

	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// profiles notes that a plan in parts has a profile from now on.
func (s *session) profiles(ref *planRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.profiled == nil {
		s.profiled = map[plan.Hash]*planRef{}
	}
	s.profiled[ref.hash] = ref
}

// profiledPlans are the plans in parts that sessions have profiles of.
func (s *session) profiledPlans() []*planRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*planRef, 0, len(s.profiled))
	for _, ref := range s.profiled {
		out = append(out, ref)
	}
	return out
}

// profiles finds, for the plan of a part on a member, the plan that it is a part
// of.
type profiles struct {
	of map[memberPlan]partOf
	n  map[plan.Hash]int64 // runs of the whole
}

type memberPlan struct {
	member int
	hash   plan.Hash
}

type partOf struct {
	ref  *planRef
	part int
}

// profiled is what the open sessions have profiles of.
func (x *Executor) profiled() *profiles {
	p := &profiles{of: map[memberPlan]partOf{}, n: map[plan.Hash]int64{}}
	for _, s := range x.open() {
		for _, ref := range s.profiledPlans() {
			for i := range ref.parts {
				p.of[memberPlan{ref.split.Parts[i].Device, ref.parts[i].Hash()}] = partOf{ref, i}
			}
		}
	}
	return p
}

// whole are a member's profiles, those of parts as profiles of the whole plan.
func (p *profiles) whole(member int, list []transport.Profile) []transport.Profile {
	var out transport.Stats
	for _, one := range list {
		if of, ok := p.of[memberPlan{member, one.Plan}]; ok {
			steps := of.ref.split.Parts[of.part].Steps
			one.Plan, one.Name = of.ref.hash, of.ref.split.Whole.Name
			p.n[one.Plan] = max(p.n[one.Plan], one.Runs)
			one.Groups = slices.Clone(one.Groups)
			for i := range one.Groups {
				g := &one.Groups[i]
				g.Steps = slices.Clone(g.Steps)
				for j, k := range g.Steps {
					g.Steps[j] = steps[k]
				}
			}
		}
		out.AddProfiles(one)
	}
	return out.Profiles
}

// runs counts a run in parts once.
func (p *profiles) runs(list []transport.Profile) {
	for i := range list {
		if n, ok := p.n[list[i].Plan]; ok {
			list[i].Runs = n
		}
	}
}
