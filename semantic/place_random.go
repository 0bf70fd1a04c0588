package semantic

import (
	"fmt"
	"math/rand/v2"
)

// PlaceRandom draws a device for each unit, by a seed: the placement that knows
// nothing, to compare with. Units whose state cannot move stay with it.
func PlaceRandom(seed uint64) Placement { return random{seed} }

type random struct{ seed uint64 }

// Name implements [Placement].
func (random) Name() string { return "random" }

// Place implements [Placement].
func (p random) Place(in PlaceInput) (Placed, error) {
	rng := rand.New(rand.NewPCG(p.seed, uint64(len(in.Plan.Steps)))) //nolint:gosec // the same draw each time, by design
	return placeEach(in, fmt.Sprintf("at random, by seed %d", p.seed), func(int) int { return rng.IntN(len(in.Cluster.Devices)) })
}

// placeEach gives each unit the device that next says, unless its state cannot
// move there.
func placeEach(in PlaceInput, reason string, next func(unit int) int) (Placed, error) {
	of, why := make([]int, len(in.Units)), make([]string, len(in.Cluster.Devices))
	for u := range of {
		of[u] = next(u)
		home, bound, err := in.Home(u)
		if err != nil {
			return Placed{}, err
		}
		if bound {
			of[u] = home
		}
		why[of[u]] = reason
	}
	return in.Placed(of, why), nil
}
