package semantic

import (
	"fmt"
	"slices"
)

// PlacementNames are the placements that [PlacementNamed] knows.
func PlacementNames() []string {
	return []string{"single", "pipeline", "branches", "home", "round-robin", "random"}
}

// PlacementNamed finds a built-in placement. The random one has seed 1, and home
// begins with a single device.
func PlacementNamed(name string) (Placement, error) {
	all := []Placement{PlaceSingle(), PlacePipeline(), PlaceBranches(), PlaceHome(PlaceSingle(), 1), PlaceRoundRobin(), PlaceRandom(1)}
	if i := slices.IndexFunc(all, func(p Placement) bool { return p.Name() == name }); i >= 0 {
		return all[i], nil
	}
	return nil, fmt.Errorf("%w: no placement %q; there are %q", ErrPlacement, name, PlacementNames())
}
