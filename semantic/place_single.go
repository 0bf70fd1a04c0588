package semantic

import "fmt"

// PlaceSingle puts the whole plan on one device: the one with its carried state
// or, without any, the one that is predicted to be fastest among those with the
// memory. Weights that a device holds count for it.
func PlaceSingle() Placement { return single{} }

type single struct{}

// uploadRuns is the number of runs over which the transfer of weights counts: it
// is paid once.
const uploadRuns = 100

// Name implements [Placement].
func (single) Name() string { return "single" }

// Place implements [Placement].
func (single) Place(in PlaceInput) (Placed, error) {
	best, cost, bound, reason := -1, 0.0, -1, ""
	for u := range in.Units {
		home, found, err := in.Home(u)
		if err != nil {
			return Placed{}, err
		}
		if !found {
			continue
		}
		if bound >= 0 && home != bound {
			return Placed{}, placeErr("carried state is on devices %d and %d, and cannot move", bound, home)
		}
		bound = home
	}
	var lacking error
	for d := range in.Cluster.Devices {
		if bound >= 0 && d != bound {
			continue
		}
		p := in.Predict(everywhere(&in, d))
		if err := in.room(p); err != nil {
			if lacking == nil {
				lacking = err
			}
			continue
		}
		c := p.Seconds + in.Cluster.toClient(d).occupied(float64(p.missing()))/uploadRuns
		if best < 0 || c < cost {
			best, cost = d, c
			reason = fmt.Sprintf("the whole plan: %s predicted, the least of the devices with the memory", seconds(p.Seconds))
		}
	}
	if best < 0 {
		return Placed{}, fmt.Errorf("no device has the memory: %w", lacking)
	}
	if bound >= 0 {
		reason = "the whole plan: its carried state is there"
	}
	return in.Placed(everywhere(&in, best), reasons(&in, best, reason)), nil
}

// everywhere is every unit on one device.
func everywhere(in *PlaceInput, device int) []int {
	of := make([]int, len(in.Units))
	for u := range of {
		of[u] = device
	}
	return of
}

// reasons is one reason, for one device.
func reasons(in *PlaceInput, device int, reason string) []string {
	why := make([]string, len(in.Cluster.Devices))
	why[device] = reason
	return why
}
