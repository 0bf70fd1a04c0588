package semantic

import (
	"fmt"
	"math"
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// PlacePipeline cuts the plan into stages, one for each device or fewer, so that
// many runs in flight are as fast as they can be: it minimises the time of the
// slowest stage or link (dynamic programming over the cuts), within the memory of
// each device. Among the placements within [pipelineSlack] of the least it takes
// the one with the shortest run.
//
// It cuts between layers: where the fewest bytes cross, for plans of more than
// [allCuts] units.
func PlacePipeline() Placement { return pipeline{} }

type pipeline struct{}

const (
	// pipelineSlack is how much slower than the least the slowest stage may be.
	pipelineSlack = 1.02
	// allCuts is the number of units up to which every cut is tried.
	allCuts = 64
	// maxCuts bounds the cuts that are tried.
	maxCuts = 192
	// maxOrders is the number of devices up to which every order of them is tried;
	// more of them are used in their order.
	maxOrders = 4
)

// Name implements [Placement].
func (pipeline) Name() string { return "pipeline" }

// Place implements [Placement].
func (pipeline) Place(in PlaceInput) (Placed, error) {
	if len(in.Units) == 0 {
		return PlaceSingle().Place(in)
	}
	s, err := newStages(&in)
	if err != nil {
		return Placed{}, err
	}
	var best *stageChain
	for _, order := range deviceOrders(&in, s.bound) {
		if c := s.search(order, math.Inf(1), false); c != nil && (best == nil || c.worst < best.worst) {
			best = c
		}
	}
	if best == nil {
		p := in.Predict(everywhere(&in, 0))
		return Placed{}, placeErr("no cut into stages fits the devices: the whole plan needs %d bytes (weights %d, state %d, scratch %d)",
			p.Devices[0].Memory(), p.Devices[0].Weights, p.Devices[0].State, p.Devices[0].Scratch)
	}
	limit := best.worst * pipelineSlack
	best = nil
	for _, order := range deviceOrders(&in, s.bound) {
		if c := s.search(order, limit, true); c != nil && (best == nil || c.sum < best.sum) {
			best = c
		}
	}
	return s.placed(best), nil
}

// stages knows what each run of units between two cuts costs.
type stages struct {
	in    *PlaceInput
	cuts  []int     // positions among the units, from 0 to their number
	cross []float64 // by cut: bytes of the values that cross it
	bound bool      // some unit cannot move
	// By first and last cut: the memory, and the device that a state binds the
	// stage to, -1 for none and conflict for several.
	memory [][]int64
	home   [][]int
	until  [][]float64 // by device, by cut: seconds of all units before
}

const conflict = -2

func newStages(in *PlaceInput) (*stages, error) {
	s := &stages{in: in}
	cross := crossing(in)
	s.cuts = cutsOf(cross)
	for _, at := range s.cuts {
		s.cross = append(s.cross, cross[at])
	}
	for d := range in.Cluster.Devices {
		sum, next := 0.0, 0
		var until []float64
		for u := range len(in.Units) + 1 {
			if u == s.cuts[next] {
				until = append(until, sum)
				next++
			}
			if u < len(in.Units) {
				sum += in.Units[u].Seconds[d]
			}
		}
		s.until = append(s.until, until)
	}
	homes := make([]int, len(in.Units))
	for u := range homes {
		home, bound, err := in.Home(u)
		if err != nil {
			return nil, err
		}
		homes[u] = -1
		if bound {
			homes[u], s.bound = home, true
		}
	}
	needs, contents := storedBy(in)
	held := make([]bool, contents)
	for a := range s.cuts {
		clear(held)
		s.from(a, homes, needs, held)
	}
	return s, nil
}

// unitNeeds is the memory of a unit: contents by number, and bytes of its own.
type unitNeeds struct {
	contents []int
	bytes    []int64 // of each content
	own      int64   // state, inputs, outputs
}

// storedBy is the memory that each unit needs, and the number of contents. Equal
// contents have one number.
func storedBy(in *PlaceInput) (needs []unitNeeds, contents int) {
	out, number := make([]unitNeeds, len(in.Units)), map[plan.Hash]int{}
	for u := range in.Units {
		x, n := &in.Units[u], &out[u]
		for _, v := range x.Weights {
			hash := in.Plan.Values[v].Hash
			id, ok := number[hash]
			if !ok {
				id = len(number)
				number[hash] = id
			}
			n.contents, n.bytes = append(n.contents, id), append(n.bytes, int64(in.bytes[v]))
		}
		for _, st := range x.States {
			n.own += int64(in.bytes[in.Plan.States[st].Out])
		}
		for _, v := range slices.Concat(x.Inputs, x.Outputs) {
			n.own += int64(in.bytes[v])
		}
	}
	return out, len(number)
}

// from fills in the stages that begin at cut a. held is false of each content.
func (s *stages) from(a int, homes []int, needs []unitNeeds, held []bool) {
	in := s.in
	memory, home := make([]int64, len(s.cuts)), make([]int, len(s.cuts))
	stored, largest, at := int64(0), int64(0), -1
	for b := a + 1; b < len(s.cuts); b++ {
		for u := s.cuts[b-1]; u < s.cuts[b]; u++ {
			in.count()
			for i, id := range needs[u].contents {
				if !held[id] {
					held[id] = true
					stored += needs[u].bytes[i]
				}
			}
			stored += needs[u].own
			largest = max(largest, in.Units[u].Scratch)
			switch h := homes[u]; {
			case h < 0 || at == h:
			case at == -1:
				at = h
			default:
				at = conflict
			}
		}
		memory[b] = stored + largest + int64(s.cross[a]) + int64(s.cross[b])
		home[b] = at
	}
	s.memory, s.home = append(s.memory, memory), append(s.home, home)
}

// crossing is, by position among the units, the bytes of the values that units
// before it compute and units after it read.
func crossing(in *PlaceInput) []float64 {
	last := make(map[int]int) // of a value: its last reader
	for u := range in.Units {
		for _, v := range in.Units[u].Reads {
			last[v] = u
		}
	}
	step := make([]float64, len(in.Units)+2)
	for v := range in.Plan.Values { // in order, so that the sums are the same each time
		if u, ok := last[v]; ok {
			step[in.maker[v]+1] += in.bytes[v]
			step[u+1] -= in.bytes[v]
		}
	}
	out, sum := make([]float64, len(in.Units)+1), 0.0
	for i := range out {
		sum += step[i]
		out[i] = max(sum, 0)
	}
	return out
}

// cutsOf selects positions: the ends and, of many, those where no neighbour is
// crossed by fewer bytes.
func cutsOf(cross []float64) []int {
	n := len(cross) - 1
	var inner []int
	for i := 1; i < n; i++ {
		if n <= allCuts || cross[i] <= cross[i-1] && cross[i] <= cross[i+1] || i == 1 && cross[i] <= cross[2] {
			inner = append(inner, i)
		}
	}
	out := []int{0}
	every := (len(inner) + maxCuts - 1) / maxCuts
	for k, i := range inner {
		if k%every == 0 {
			out = append(out, i)
		}
	}
	return append(out, n)
}

// deviceOrders are the orders in which stages may use the devices: one order if
// the devices are alike or many.
func deviceOrders(in *PlaceInput, bound bool) [][]int {
	n := len(in.Cluster.Devices)
	first := make([]int, n)
	for i := range first {
		first[i] = i
	}
	if n > maxOrders || !bound && in.uniform() {
		return [][]int{first}
	}
	var out [][]int
	var permute func(k int)
	order := slices.Clone(first)
	permute = func(k int) {
		if k == n {
			out = append(out, slices.Clone(order))
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			permute(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	permute(0)
	return out
}

// uniform reports whether the devices and their links are alike.
func (in *PlaceInput) uniform() bool {
	c := in.Cluster
	for d := range c.Devices {
		if c.Devices[d].Memory != c.Devices[0].Memory || c.toClient(d) != c.toClient(0) {
			return false
		}
		for u := range in.Units {
			if in.Units[u].Seconds[d] != in.Units[u].Seconds[0] {
				return false
			}
		}
		for e := range c.Devices {
			if d != e && c.Between(d, e) != c.Between(0, 1) {
				return false
			}
		}
	}
	return true
}

// count counts a step of a search.
func (in *PlaceInput) count() {
	if in.work != nil {
		*in.work++
	}
}

// stageChain is a way to run the units up to a cut: the last stage, and the chain
// before it.
type stageChain struct {
	worst, sum float64 // seconds of the slowest stage or link; of all
	device     int
	from, to   int // cuts of the last stage; both 0 for no chain
	before     *stageChain
}

// search finds the chain of stages over devices in this order, some of which may
// have none, in which the slowest stage or link takes the least time; or, if it is
// to be short, the one with the least sum within the limit. nil is none.
func (s *stages) search(order []int, limit float64, short bool) *stageChain {
	best := make([][]stageChain, len(order)) // by position in the order, by cut
	for k, device := range order {
		best[k] = make([]stageChain, len(s.cuts))
		for b := 1; b < len(s.cuts); b++ {
			for a := range b {
				s.in.count()
				if !s.fits(device, a, b) {
					continue
				}
				next := stageChain{device: device, from: a, to: b}
				next.sum = s.until[device][b] - s.until[device][a]
				if next.worst = next.sum; a == 0 {
					best[k][b].improve(next, limit, short)
					continue
				}
				for j := range k {
					if c := &best[j][a]; c.to > 0 {
						best[k][b].improve(next.after(c, s.in.Cluster.Between(order[j], device), s.cross[a]), limit, short)
					}
				}
			}
		}
	}
	var out stageChain
	for k := range best {
		if c := best[k][len(s.cuts)-1]; c.to > 0 {
			out.improve(c, limit, short)
		}
	}
	if out.to == 0 {
		return nil
	}
	return &out
}

// after is the stage behind a chain, over a link that bytes cross.
func (c *stageChain) after(before *stageChain, l Link, bytes float64) stageChain {
	out := *c
	out.worst = max(before.worst, c.worst, l.occupied(bytes))
	out.sum += before.sum + l.Seconds(bytes)
	out.before = before
	return out
}

// improve takes a chain that is within the limit and better.
func (c *stageChain) improve(next stageChain, limit float64, short bool) {
	if next.worst > limit || c.to > 0 && (short && next.sum >= c.sum || !short && next.worst >= c.worst) {
		return
	}
	*c = next
}

// fits reports whether a device has the memory for the stage between two cuts,
// and the stage may be there.
func (s *stages) fits(device, a, b int) bool {
	limit := s.in.Cluster.Devices[device].Memory
	home := s.home[a][b]
	return (home == -1 || home == device) && (limit <= 0 || s.memory[a][b] <= limit)
}

// placed writes the decision.
func (s *stages) placed(c *stageChain) Placed {
	var chain []*stageChain
	for x := c; x != nil; x = x.before {
		chain = append(chain, x)
	}
	slices.Reverse(chain)
	of, why := make([]int, len(s.in.Units)), make([]string, len(s.in.Cluster.Devices))
	for i, x := range chain {
		for u := s.cuts[x.from]; u < s.cuts[x.to]; u++ {
			of[u] = x.device
		}
		why[x.device] = fmt.Sprintf("stage %d of %d: %s; the slowest stage or link takes %s",
			i+1, len(chain), seconds(s.until[x.device][x.to]-s.until[x.device][x.from]), seconds(c.worst))
		if x.from > 0 {
			why[x.device] += fmt.Sprintf("; %s cross the cut before it", si(s.cross[x.from], "B"))
		}
	}
	return s.in.Placed(of, why)
}
