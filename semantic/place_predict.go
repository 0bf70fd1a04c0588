package semantic

import (
	"cmp"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// ClientDevice stands for the client in [PlacedEdge].
const ClientDevice = -1

// PlacePrediction is the cost model's estimate for one run of a placed plan,
// with weights in place.
type PlacePrediction struct {
	// Seconds is the time from call to result.
	Seconds float64 `json:"seconds"`
	// Interval is the time between two results when many runs are in flight: that
	// of the busiest device or link.
	Interval float64      `json:"interval"`
	Devices  []DeviceLoad `json:"devices"` // by device
	// Edges are the values that cross, in the order in which they are sent, those
	// from and to the client included.
	Edges []PlacedEdge `json:"edges"`
}

// DeviceLoad is what one device does in a run, and the memory that it needs.
type DeviceLoad struct {
	Steps   int     `json:"steps"`
	Seconds float64 `json:"seconds"`
	Weights int64   `json:"weights"` // bytes, each content once
	// Missing is the part of Weights that the device is not known to hold.
	Missing int64 `json:"missing"`
	State   int64 `json:"state"` // bytes after the run
	// Scratch is the bytes of the largest unit and of the values that cross.
	Scratch int64 `json:"scratch"`
	Limit   int64 `json:"limit"` // 0 is unlimited
}

// Memory is the bytes that the device needs.
func (l *DeviceLoad) Memory() int64 { return l.Weights + l.State + l.Scratch }

// lacks is the bytes that the device needs and does not have.
func (l *DeviceLoad) lacks() int64 {
	if l.Limit <= 0 {
		return 0
	}
	return max(l.Memory()-l.Limit, 0)
}

// lacks is the sum over the devices.
func (p *PlacePrediction) lacks() (n int64) {
	for i := range p.Devices {
		n += p.Devices[i].lacks()
	}
	return n
}

// missing is the weights that the client has to send before the first run.
func (p *PlacePrediction) missing() (n int64) {
	for i := range p.Devices {
		n += p.Devices[i].Missing
	}
	return n
}

// PlacedEdge is a value that moves from one device to another during a run.
type PlacedEdge struct {
	Value   int     `json:"value"` // of the plan
	From    int     `json:"from"`  // device, or [ClientDevice]
	To      int     `json:"to"`
	Bytes   float64 `json:"bytes"`
	Seconds float64 `json:"seconds"` // of its transfer, without waiting for the link
	Direct  bool    `json:"direct"`  // not through the client
}

// Predict estimates a run in which unit i is on device of[i]. A device runs its
// units between two changes of device as one part, as plan.NewSplit divides
// them: a part starts when all its inputs are there, and its results leave when
// it is done. Transfers of one link follow each other.
func (in *PlaceInput) Predict(of []int) *PlacePrediction {
	r := placedRun{in: in, of: of, out: &PlacePrediction{Devices: make([]DeviceLoad, len(in.Cluster.Devices))}}
	r.memory()
	r.rounds()
	r.play()
	return r.out
}

// placedRun simulates one run of a placed plan.
type placedRun struct {
	in    *PlaceInput
	of    []int
	out   *PlacePrediction
	round []int   // by unit
	parts [][]int // units, by part in running order
	done  []float64
	// free is when a link takes the next value, by its ends; busy is how long it
	// has been occupied.
	free, busy map[[2]int]float64
	there      map[[2]int]float64 // when a value is on a device
	stored     map[[2]int]bool    // the memory of a value on a device is counted
}

// memory adds up what each device stores.
func (r *placedRun) memory() {
	in := r.in
	held := make([]map[plan.Hash]bool, len(in.Cluster.Devices))
	states := make([]bool, len(in.Plan.States))
	largest := make([]int64, len(in.Cluster.Devices))
	for i := range held {
		held[i], r.out.Devices[i].Limit = map[plan.Hash]bool{}, in.Cluster.Devices[i].Memory
	}
	for u := range in.Units {
		x, d := &in.Units[u], r.of[u]
		load := &r.out.Devices[d]
		load.Steps += len(x.Steps)
		load.Seconds += x.Seconds[d]
		for _, v := range x.Weights {
			if hash := in.Plan.Values[v].Hash; !held[d][hash] {
				held[d][hash] = true
				load.Weights += int64(in.bytes[v])
				if holds := in.Cluster.Devices[d].Holds; holds == nil || !holds(hash) {
					load.Missing += int64(in.bytes[v])
				}
			}
		}
		for _, s := range x.States {
			if !states[s] {
				states[s] = true
				load.State += int64(in.bytes[in.Plan.States[s].Out])
			}
		}
		largest[d] = max(largest[d], x.Scratch)
	}
	for d := range largest {
		r.out.Devices[d].Scratch = largest[d]
	}
}

// rounds groups the units by device and by the longest chain of device changes
// before them.
func (r *placedRun) rounds() {
	r.round = make([]int, len(r.of))
	index := map[[2]int]int{}
	for u := range r.in.Units {
		for _, v := range r.in.Units[u].Reads {
			from := r.in.maker[v]
			n := r.round[from]
			if r.of[from] != r.of[u] {
				n++
			}
			r.round[u] = max(r.round[u], n)
		}
		key := [2]int{r.round[u], r.of[u]}
		at, ok := index[key]
		if !ok {
			at = len(r.parts)
			index[key] = at
			r.parts = append(r.parts, nil)
		}
		r.parts[at] = append(r.parts[at], u)
	}
	slices.SortFunc(r.parts, func(a, b []int) int {
		return cmp.Or(cmp.Compare(r.round[a[0]], r.round[b[0]]), cmp.Compare(r.of[a[0]], r.of[b[0]]))
	})
}

// play runs the parts in their order.
func (r *placedRun) play() {
	in, out := r.in, r.out
	r.free, r.busy, r.there = map[[2]int]float64{}, map[[2]int]float64{}, map[[2]int]float64{}
	r.stored = map[[2]int]bool{}
	r.done = make([]float64, len(in.Units))
	idle := make([]float64, len(in.Cluster.Devices))
	for _, part := range r.parts {
		d := r.of[part[0]]
		start := max(idle[d], in.Cluster.toClient(d).Delay.Seconds())
		for _, u := range part {
			for _, v := range in.Units[u].Inputs {
				start = max(start, r.arrive(v, ClientDevice, d, 0))
			}
			for _, v := range in.Units[u].Reads {
				if from := in.maker[v]; r.of[from] != d {
					start = max(start, r.arrive(v, r.of[from], d, r.done[from]))
				}
			}
		}
		end := start
		for _, u := range part {
			end += in.Units[u].Seconds[d]
		}
		idle[d] = end
		for _, u := range part {
			r.done[u] = end
		}
	}
	r.results()
	for i := range out.Devices {
		out.Interval = max(out.Interval, out.Devices[i].Seconds)
	}
	for _, busy := range r.busy {
		out.Interval = max(out.Interval, busy)
	}
}

// results sends the outputs to the client.
func (r *placedRun) results() {
	in, out := r.in, r.out
	sent := map[int]bool{}
	for _, o := range in.Plan.Outputs {
		u := in.maker[o.Value]
		if u < 0 || sent[o.Value] {
			continue
		}
		sent[o.Value] = true
		at := r.done[u] + in.Cluster.toClient(r.of[u]).Delay.Seconds()
		if o.Place == plan.Download {
			at = r.arrive(o.Value, r.of[u], ClientDevice, r.done[u])
		}
		out.Seconds = max(out.Seconds, at)
	}
	for u := range r.done {
		out.Seconds = max(out.Seconds, r.done[u])
	}
}

// arrive is when a value that is ready at a time is on a device: it crosses each
// pair of ends once.
func (r *placedRun) arrive(v, from, to int, ready float64) float64 {
	if at, ok := r.there[[2]int{v, to}]; ok {
		return at
	}
	c, bytes := r.in.Cluster, r.in.bytes[v]
	var hops [][2]int
	var links []Link
	switch {
	case from == ClientDevice:
		hops, links = [][2]int{{from, to}}, []Link{c.toClient(to)}
	case to == ClientDevice:
		hops, links = [][2]int{{from, to}}, []Link{c.toClient(from)}
	case c.Between(from, to).Direct:
		hops, links = [][2]int{{from, to}}, []Link{c.Between(from, to)}
	default:
		hops, links = [][2]int{{from, ClientDevice}, {ClientDevice, to}}, []Link{c.toClient(from), c.toClient(to)}
	}
	at, seconds := ready, 0.0
	for i, hop := range hops {
		start, n := max(at, r.free[hop]), links[i].occupied(bytes)
		r.free[hop], r.busy[hop] = start+n, r.busy[hop]+n
		at = start + links[i].Seconds(bytes)
		seconds += links[i].Seconds(bytes)
	}
	r.there[[2]int{v, to}] = at
	for _, d := range []int{from, to} {
		if key := [2]int{v, d}; d != ClientDevice && !r.stored[key] {
			r.stored[key] = true
			r.out.Devices[d].Scratch += int64(bytes)
		}
	}
	r.out.Edges = append(r.out.Edges, PlacedEdge{Value: v, From: from, To: to, Bytes: bytes, Seconds: seconds, Direct: len(hops) == 1 && from != ClientDevice && to != ClientDevice})
	return at
}
