package semantic

// PlaceRoundRobin gives the units to the devices in turn: the placement that
// balances numbers and knows nothing else, to compare with. Units whose state
// cannot move stay with it.
func PlaceRoundRobin() Placement { return roundRobin{} }

type roundRobin struct{}

// Name implements [Placement].
func (roundRobin) Name() string { return "round-robin" }

// Place implements [Placement].
func (roundRobin) Place(in PlaceInput) (Placed, error) {
	return placeEach(in, "in turn with the others", func(unit int) int { return unit % len(in.Cluster.Devices) })
}
