package semantic

import (
	"fmt"
	"strings"
)

// PlaceBranches runs parallel branches, such as the towers of a model of images
// and text, on devices of their own where the cost model predicts a shorter run
// than on one device, transfers included: the choice depends on links and sizes.
// Everything outside the branches is on one device.
func PlaceBranches() Placement { return branchPlacement{} }

type branchPlacement struct{}

// maxBranchTries bounds the assignments of branches to devices that are all
// tried. Above it one branch moves at a time, for as long as the run becomes
// shorter.
const maxBranchTries = 1024

// Name implements [Placement].
func (branchPlacement) Name() string { return "branches" }

// Place implements [Placement].
func (branchPlacement) Place(in PlaceInput) (Placed, error) {
	s := branchSearch{in: &in, homes: make([]int, len(in.Units))}
	for u := range in.Units {
		home, bound, err := in.Home(u)
		if err != nil {
			return Placed{}, err
		}
		if s.homes[u] = -1; bound {
			s.homes[u] = home
		}
		s.branches = max(s.branches, in.Units[u].Branch)
	}
	tries := 1
	for range s.branches + 1 {
		tries = min(tries*len(in.Cluster.Devices), maxBranchTries+1)
	}
	s.alone()
	if tries <= maxBranchTries {
		s.all(make([]int, s.branches+1), 0)
	} else {
		s.climb()
	}
	if s.lacks > 0 {
		return Placed{}, in.room(s.best)
	}
	return in.Placed(s.units(s.at), s.why()), nil
}

// branchSearch looks for the devices of the branches; that of branch 0 is for
// everything outside them.
type branchSearch struct {
	in       *PlaceInput
	branches int
	homes    []int // by unit; -1 for none
	at       []int // by branch: the best
	best     *PlacePrediction
	lacks    int64
	one      *PlacePrediction // the best on one device
}

// units gives each unit the device of its branch.
func (s *branchSearch) units(at []int) []int {
	of := make([]int, len(s.in.Units))
	for u := range of {
		if of[u] = s.homes[u]; of[u] < 0 {
			of[u] = at[s.in.Units[u].Branch]
		}
	}
	return of
}

// try keeps an assignment that is better than the best, and reports whether it is.
func (s *branchSearch) try(at []int) bool {
	s.in.count()
	p := s.in.Predict(s.units(at))
	lacks := p.lacks()
	if s.best != nil && (lacks > s.lacks || lacks == s.lacks && p.Seconds >= s.best.Seconds) {
		return false
	}
	s.at, s.best, s.lacks = append([]int(nil), at...), p, lacks
	return true
}

// alone tries each device for everything.
func (s *branchSearch) alone() {
	at := make([]int, s.branches+1)
	for d := range s.in.Cluster.Devices {
		for i := range at {
			at[i] = d
		}
		s.try(at)
	}
	s.one = s.best
}

// all tries every assignment of the branches from b on.
func (s *branchSearch) all(at []int, b int) {
	if b == len(at) {
		s.try(at)
		return
	}
	for d := range s.in.Cluster.Devices {
		at[b] = d
		s.all(at, b+1)
	}
}

// climb moves one branch at a time.
func (s *branchSearch) climb() {
	for moved := true; moved; {
		moved = false
		for b := range s.at {
			for d := range s.in.Cluster.Devices {
				at := append([]int(nil), s.at...)
				at[b] = d
				moved = s.try(at) || moved
			}
		}
	}
}

// why says what is on each device.
func (s *branchSearch) why() []string {
	parts := make([][]string, len(s.in.Cluster.Devices))
	for b := 1; b <= s.branches; b++ {
		cost := 0.0
		for u := range s.in.Units {
			if x := &s.in.Units[u]; x.Branch == b {
				cost += x.Seconds[s.at[b]]
			}
		}
		name := fmt.Sprintf("branch %d", b)
		if b <= len(s.in.SRG.Branches) {
			name += fmt.Sprintf(" (%v)", s.in.SRG.Branches[b-1].Modality)
		}
		parts[s.at[b]] = append(parts[s.at[b]], fmt.Sprintf("%s, %s", name, seconds(cost)))
	}
	out := make([]string, len(parts))
	parts[s.at[0]] = append(parts[s.at[0]], "what is outside the branches")
	for d := range parts {
		if len(parts[d]) > 0 {
			out[d] = strings.Join(parts[d], "; ") + fmt.Sprintf("; the run takes %s, and %s on one device", seconds(s.best.Seconds), seconds(s.one.Seconds))
		}
	}
	return out
}
