package semantic

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// Ancestors lists the sets of values from which the given values can be computed
// on a device that has the weights: those that cross a position among the units,
// with the inputs that are read after it. The list begins with the least to
// compute and ends with the least to send; sets that are worse in both are left
// out.
func (in *PlaceInput) Ancestors(values []int, device int) []Ancestor {
	needed, first := make([]bool, len(in.Units)), len(in.Units)
	for _, v := range values {
		if u := in.maker[v]; u >= 0 {
			needed[u] = true
			first = min(first, u)
		}
	}
	var out []Ancestor
	open := map[int]bool{} // what the needed units from u on read and do not compute
	seconds := 0.0
	for u, need := range slices.Backward(needed) {
		if !need {
			continue
		}
		seconds += in.Units[u].Seconds[device]
		for v := range open {
			if in.maker[v] == u {
				delete(open, v)
			}
		}
		for _, v := range slices.Concat(in.Units[u].Reads, in.Units[u].Inputs) {
			open[v] = true
			if from := in.maker[v]; from >= 0 {
				needed[from] = true
			}
		}
		a := Ancestor{Seconds: seconds}
		for v := range open {
			a.Values = append(a.Values, v)
		}
		slices.Sort(a.Values) // and the sum is the same each time
		for _, v := range a.Values {
			a.Bytes += in.bytes[v]
		}
		if u <= first && (len(out) == 0 || a.Bytes < out[len(out)-1].Bytes) {
			out = append(out, a)
		}
	}
	return out
}

// RecomputeState lists what the new values of carried pairs, by index into
// lazy.Graph.Carries, can be computed from on d in a run with the sizes b: such as
// the caches of some layers from the rows before the first of them, or from the
// tokens. Values of the [Ancestor]s count into the plan of the full policy.
func (s *SRG) RecomputeState(d Device, b plan.Bindings, carries ...int) ([]Ancestor, error) {
	profile, err := s.ProfileOf(b)
	if err != nil {
		return nil, err
	}
	var in PlaceInput
	_, err = Full().Schedule(s, Request{
		Profile: profile, Sizes: b, Cluster: &Cluster{Devices: []ClusterDevice{{Device: d}}}, Placement: observe{&in},
	})
	if err != nil {
		return nil, err
	}
	var values []int
	for _, c := range carries {
		if c < 0 || c >= len(s.Graph.Carries()) {
			return nil, placeErr("carried pair %d of %d", c, len(s.Graph.Carries()))
		}
		name := stateName(s.face().Graph, Request{}, s.Graph.Carries()[c].In)
		for i := range in.Plan.States {
			if in.Plan.States[i].Name == name {
				values = append(values, in.Plan.States[i].Out)
			}
		}
	}
	return in.Ancestors(values, 0), nil
}

// observe is a placement on the first device that keeps what it was given.
type observe struct{ in *PlaceInput }

// Name implements [Placement].
func (observe) Name() string { return "single" }

// Place implements [Placement].
func (o observe) Place(in PlaceInput) (Placed, error) {
	*o.in = in
	return in.Placed(everywhere(&in, 0), nil), nil
}
