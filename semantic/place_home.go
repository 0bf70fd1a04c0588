package semantic

import (
	"fmt"
	"slices"
)

// PlaceHome runs each step where its carried state is, such as a decode where the
// KV cache is, and steps without state beside those that they exchange the most
// bytes with. Where state may move, it does if the cost model says that the move
// and the given number of runs to come take less time elsewhere. Without any state
// yet it is the placement start.
func PlaceHome(start Placement, runs int) Placement { return home{start, max(runs, 1)} }

type home struct {
	start Placement
	runs  int
}

// Name implements [Placement].
func (home) Name() string { return "home" }

// Place implements [Placement].
func (p home) Place(in PlaceInput) (Placed, error) {
	of, err := followState(&in)
	if err != nil {
		return Placed{}, err
	}
	if of == nil {
		return p.start.Place(in)
	}
	why := make([]string, len(in.Cluster.Devices))
	for _, d := range of {
		why[d] = "its carried state is there"
	}
	stay := in.Placed(of, why)
	stay.Predicted = in.Predict(of)
	if !in.Movable {
		return stay, nil
	}
	free := in
	free.StateAt = nil
	leave, err := p.start.Place(free)
	if err != nil {
		return stay, nil //nolint:nilerr // there is no other place, and it is not needed
	}
	to := make([]int, len(in.Units))
	for u := range to {
		to[u] = leave.Device[in.Units[u].Steps[0]]
	}
	leave.Predicted = in.Predict(to)
	move := in.moveSeconds(to)
	here, there := float64(p.runs)*stay.Predicted.Seconds, float64(p.runs)*leave.Predicted.Seconds+move
	if stay.Predicted.lacks() == 0 && here <= there {
		return stay, nil
	}
	for d := range leave.Why {
		if leave.Why[d] != "" {
			leave.Why[d] += fmt.Sprintf("; moving the state and %d runs take %s, %s where it is", p.runs, seconds(there), seconds(here))
		}
	}
	return leave, nil
}

// moveSeconds is the time to move the state of units to their devices, one state
// after the other. Rows that the run itself adds do not move.
func (in *PlaceInput) moveSeconds(of []int) float64 {
	sum := 0.0
	for u := range in.Units {
		for _, s := range in.Units[u].States {
			st := &in.Plan.States[s]
			if from, ok := in.StateAt[st.Name]; ok && from != of[u] {
				sum += in.Cluster.Between(from, of[u]).Seconds(in.bytes[st.In])
			}
		}
	}
	return sum
}

// followState puts each unit where its state is; nil if no state is anywhere.
func followState(in *PlaceInput) ([]int, error) {
	of, bytes := make([]int, len(in.Units)), make([]float64, len(in.Cluster.Devices))
	found := false
	for u := range in.Units {
		d, ok, err := in.stateHome(u)
		if err != nil {
			return nil, err
		}
		if of[u] = -1; ok {
			of[u], found = d, true
			for _, s := range in.Units[u].States {
				bytes[d] += in.bytes[in.Plan.States[s].Out]
			}
		}
	}
	if !found {
		return nil, nil
	}
	follow(in, of)
	most := 0
	for d := range bytes {
		if bytes[d] > bytes[most] {
			most = d
		}
	}
	for u := range of {
		if of[u] < 0 {
			of[u] = most
		}
	}
	return of, nil
}

// follow gives units without a device that of the unit with which they exchange
// the most bytes: first of those before them, then of those after them.
func follow(in *PlaceInput, of []int) {
	for u := range of {
		most := -1.0
		for _, v := range in.Units[u].Reads {
			if d := of[in.maker[v]]; of[u] < 0 && d >= 0 && in.bytes[v] > most || most >= 0 && d >= 0 && in.bytes[v] > most {
				of[u], most = d, in.bytes[v]
			}
		}
	}
	readers := make([]float64, len(of))
	for u, d := range slices.Backward(of) {
		for _, v := range in.Units[u].Reads {
			if from := in.maker[v]; (of[from] < 0 || readers[from] > 0) && d >= 0 && in.bytes[v] > readers[from] {
				of[from], readers[from] = d, in.bytes[v]
			}
		}
	}
}
