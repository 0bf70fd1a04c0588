package semantic

import (
	"container/heap"
	"fmt"
	"math"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/internal/program"
	"github.com/genie-sdk/go/transport/custom"
	"github.com/genie-sdk/go/transport/plan"
)

// Unit is a part of a plan that runs on one device: the steps of one kernel and
// the views of its result, or all steps that read or write the same carried
// state, and what has to run between those.
type Unit struct {
	Steps   []int     // of the plan, in order
	Seconds []float64 // predicted time, by device of the cluster
	Branch  int       // the branch of its result, 0 outside any fork
	States  []int     // that it reads or writes
	Weights []int     // values of the plan that it reads
	Inputs  []int     // values that each run brings
	Reads   []int     // values that other units compute
	Outputs []int     // values that are returned or retained
	// Scratch is the bytes of the values that it computes.
	Scratch int64
}

// divide fills Units with the executor's plan.
func (in *PlaceInput) divide(operators *custom.Table) error {
	r, err := op.ResolveFrom(operators, in.Plan)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPlacement, err)
	}
	if err := in.measure(r); err != nil {
		return err
	}
	seconds, groups, err := in.price(operators)
	if err != nil {
		return err
	}
	j := joinSteps(in.Plan, r, groups)
	j.joinCycles(in.Plan, r)
	in.Units = j.units(in.Plan, r)
	in.describe(r, seconds)
	return nil
}

// measure finds the size of each value.
func (in *PlaceInput) measure(r *op.Resolved) error {
	in.bytes = make([]float64, len(in.Plan.Values))
	for i := range in.Plan.Values {
		v := &in.Plan.Values[i]
		shape, err := v.Spec.Shape.Eval(in.Bindings)
		if err != nil {
			return fmt.Errorf("%w: sizes of the cost model: %w", ErrPlacement, err)
		}
		stored := v.Spec.DType
		if root := &in.Plan.Values[r.Base[i]]; root.Kind == plan.KindWeight {
			stored = root.Storage
		}
		in.bytes[i] = elements(shape) * float64(stored.Size())
	}
	return nil
}

// price finds the time of each step, by device, where a kernel of several steps
// counts with its last. It also returns the steps of each kernel on the first
// device.
func (in *PlaceInput) price(operators *custom.Table) (seconds [][]float64, groups []program.Group, err error) {
	type compilation struct {
		prog    *program.Program
		kernels []Kernel
	}
	made := map[string]compilation{}
	for i := range in.Cluster.Devices {
		d := in.Cluster.Devices[i].Device
		c, ok := made[d.kernelsKey()]
		if !ok {
			if c.prog, c.kernels, err = d.compile(in.Plan, operators, in.Bindings); err != nil {
				return nil, nil, fmt.Errorf("%w: %w", ErrPlacement, err)
			}
			made[d.kernelsKey()] = c
		}
		if i == 0 {
			groups = c.prog.Groups
		}
		own := make([]float64, len(in.Plan.Steps))
		for g := range c.prog.Groups {
			own[c.prog.Groups[g].Last()] += d.KernelSeconds(c.kernels[g])
		}
		seconds = append(seconds, own)
	}
	return seconds, groups, nil
}

// joined is a partition of the steps of a plan (union and find).
type joined []int

func (j joined) find(i int) int {
	for j[i] != i {
		j[i] = j[j[i]]
		i = j[i]
	}
	return i
}

// join unites two sets under the smaller step.
func (j joined) join(a, b int) {
	if a, b = j.find(a), j.find(b); a > b {
		a, b = b, a
	}
	j[b] = a
}

// joinSteps unites the steps of each kernel, each view with what it is a view
// of, and everything that touches one state.
func joinSteps(p *plan.Plan, r *op.Resolved, groups []program.Group) joined {
	j := make(joined, len(p.Steps))
	for i := range j {
		j[i] = i
	}
	for g := range groups {
		for _, s := range groups[g].Steps[1:] {
			j.join(groups[g].Steps[0], s)
		}
	}
	reader := make(map[int]int) // of a view of a leaf: its first reader
	for i, s := range slices.Backward(p.Steps) {
		for _, v := range s.In {
			reader[v] = i
		}
		// Whether a reshape can be a view depends on what it reads.
		if from := viewed(r, &s); from >= 0 && (r.View[i] || s.Op == "reshape") {
			j.join(i, from)
		}
		if !r.View[i] {
			continue
		}
		if def := r.Def[r.Base[s.Out]]; def >= 0 {
			j.join(i, def)
		} else if first, ok := reader[s.Out]; ok {
			j.join(i, first)
		}
	}
	touched, home := statesOf(r), make([]int, len(p.States))
	for i := range home {
		home[i] = -1
	}
	for i := range p.Steps {
		for _, st := range touched(i) {
			if home[st] < 0 {
				home[st] = i
			}
			j.join(home[st], i)
		}
	}
	return j
}

// viewed is the step that makes the first operand as a view; -1 for none.
func viewed(r *op.Resolved, s *plan.Step) int {
	if len(s.In) == 0 {
		return -1
	}
	if def := r.Def[s.In[0]]; def >= 0 && r.View[def] {
		return def
	}
	return -1
}

// readsOf lists the steps whose results a step reads.
func readsOf(p *plan.Plan, r *op.Resolved, step int) []int {
	var out []int
	for _, v := range p.Steps[step].In {
		if def := r.Def[v]; def >= 0 {
			out = append(out, def)
		}
	}
	return out
}

// joinCycles unites sets that need each other's results in a circle: a unit runs
// without waiting for itself (strongly connected components; Tarjan, 1972).
func (j joined) joinCycles(p *plan.Plan, r *op.Resolved) {
	n := len(p.Steps)
	next := make([][]int, n) // by set, the sets whose results it reads
	for i := range n {
		for _, def := range readsOf(p, r, i) {
			if a, b := j.find(i), j.find(def); a != b {
				next[a] = append(next[a], b)
			}
		}
	}
	type frame struct{ at, edge int }
	index, low, on := make([]int, n), make([]int, n), make([]bool, n)
	count, stack := 0, []int{}
	for start := range n {
		if j.find(start) != start || index[start] != 0 {
			continue
		}
		calls := []frame{{at: start}}
		for len(calls) > 0 {
			f := &calls[len(calls)-1]
			if f.edge == 0 && index[f.at] == 0 {
				count++
				index[f.at], low[f.at], on[f.at] = count, count, true
				stack = append(stack, f.at)
			}
			if f.edge < len(next[f.at]) {
				to := next[f.at][f.edge]
				f.edge++
				if index[to] == 0 {
					calls = append(calls, frame{at: to})
				} else if on[to] {
					low[f.at] = min(low[f.at], index[to])
				}
				continue
			}
			at := f.at
			if calls = calls[:len(calls)-1]; len(calls) > 0 {
				up := calls[len(calls)-1].at
				low[up] = min(low[up], low[at])
			}
			if low[at] != index[at] {
				continue
			}
			for {
				x := stack[len(stack)-1]
				stack, on[x] = stack[:len(stack)-1], false
				if x == at {
					break
				}
				j.join(at, x)
			}
		}
	}
}

// units lists the sets in an order in which they can run, close to the order of
// the plan.
func (j joined) units(p *plan.Plan, r *op.Resolved) []Unit {
	steps, waits, readers := map[int][]int{}, map[int]int{}, map[int][]int{}
	for i := range p.Steps {
		at := j.find(i)
		steps[at] = append(steps[at], i)
		for _, def := range readsOf(p, r, i) {
			if from := j.find(def); from != at {
				waits[at]++
				readers[from] = append(readers[from], at)
			}
		}
	}
	var ready firstStep
	for at := range steps {
		if waits[at] == 0 {
			ready = append(ready, at)
		}
	}
	heap.Init(&ready)
	out := make([]Unit, 0, len(steps))
	for len(ready) > 0 {
		at := heap.Pop(&ready).(int)
		out = append(out, Unit{Steps: steps[at]})
		for _, to := range readers[at] {
			if waits[to]--; waits[to] == 0 {
				heap.Push(&ready, to)
			}
		}
	}
	return out
}

// firstStep orders sets by their first step.
type firstStep []int

func (h firstStep) Len() int           { return len(h) }
func (h firstStep) Less(i, j int) bool { return h[i] < h[j] }
func (h firstStep) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *firstStep) Push(x any) { *h = append(*h, x.(int)) }

// Pop implements heap.Interface.
func (h *firstStep) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// describe fills in what each unit reads, computes and costs.
func (in *PlaceInput) describe(r *op.Resolved, seconds [][]float64) {
	in.maker = make([]int, len(in.Plan.Values))
	for v := range in.maker {
		in.maker[v] = -1
	}
	for u := range in.Units {
		for _, s := range in.Units[u].Steps {
			in.maker[in.Plan.Steps[s].Out] = u
		}
	}
	touched := statesOf(r)
	for u := range in.Units {
		in.describeUnit(u, r, touched)
		x := &in.Units[u]
		for _, own := range seconds {
			sum := 0.0
			for _, s := range x.Steps {
				sum += own[s]
			}
			x.Seconds = append(x.Seconds, sum)
		}
	}
	returned := map[int]bool{}
	for _, o := range in.Plan.Outputs {
		if u := in.maker[o.Value]; u >= 0 && !returned[o.Value] {
			returned[o.Value] = true
			in.Units[u].Outputs = append(in.Units[u].Outputs, o.Value)
		}
	}
}

func (in *PlaceInput) describeUnit(u int, r *op.Resolved, touched func(int) []int) {
	x, seen, states := &in.Units[u], map[int]bool{}, map[int]bool{}
	scratch := 0.0
	for _, i := range x.Steps {
		s := &in.Plan.Steps[i]
		if s.Branch != 0 || !r.View[i] {
			x.Branch = s.Branch
		}
		if !r.View[i] && r.InScratch(s.Out) {
			scratch += in.bytes[s.Out]
		}
		for _, st := range touched(i) {
			if !states[st] {
				states[st] = true
				x.States = append(x.States, st)
			}
		}
		for _, v := range s.In {
			if seen[v] {
				continue
			}
			seen[v] = true
			switch in.Plan.Values[v].Kind {
			case plan.KindWeight:
				x.Weights = append(x.Weights, v)
			case plan.KindInput:
				x.Inputs = append(x.Inputs, v)
			case plan.KindTemp:
				if in.maker[v] != u {
					x.Reads = append(x.Reads, v)
				}
			case plan.KindConst, plan.KindState:
			}
		}
	}
	x.Scratch = int64(math.Min(scratch, math.MaxInt64/2))
}
