package semantic

import (
	"cmp"
	"container/heap"
	"math/bits"
	"slices"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/lazy"
)

// branches finds parallel subgraphs. At an operator that joins several values,
// the side of each value is the set of nodes that only this value needs. Two or
// more substantial sides are branches.
//
// A side whose siblings share a fork with it is substantial when it contains at
// least two parameterised layers (matrix product or convolution with weights,
// embedding) with a nonlinearity between them: a feed-forward or attention
// block, not a projection. So Q, K and V of one attention are not branches, nor
// are the gates of a recurrent cell or a residual connection. A side with
// inputs of its own, a tower, is substantial with one parameterised layer and
// one nonlinearity; a parameterised layer alone suffices when its sibling has
// another modality. Branches are maximal: a branch inside another is not
// reported. Weights and side inputs that only one branch reads belong to it.
type branches struct{}

func (branches) Name() string { return "branches" }

func (branches) Recognise(a *analysis) error {
	w := newBranchWalk(a)
	for id := range slices.Backward(a.tensors) {
		if !a.Nodes[id].Dead && a.Nodes[id].Branch == 0 && w.left > 0 {
			w.join(id)
		}
	}
	a.adoptIntoBranches()
	a.numberBranches()
	return a.hintBranches()
}

const maxSides = 64 // joins of more values are ignored

type branchWalk struct {
	*analysis
	param []bool // a parameterised layer
	work  []bool // computed by at least one parameterised layer
	// nonLinear is by tensor: an activation.
	nonLinear []bool
	plain     bool // no input has a modality: any may be a fork
	mask      []uint64
	stamp     []int
	now       int
	sides     []branchSide
	queue     idHeap
	fork      bool
	closed    int // entries of the queue that are shared
	left      int // steps that the search may still take; see stepsPerTensor
}

// stepsPerTensor bounds the search. Nested joins make it visit a tensor
// repeatedly. A program that needs more steps gets the branches found so far.
const stepsPerTensor = 512

type branchSide struct {
	top               *lazy.Tensor
	nodes             []int
	open              int // exclusive entries of the queue
	params, nonLinear bool
}

type idHeap []int

func (h idHeap) Len() int           { return len(h) }
func (h idHeap) Less(i, j int) bool { return h[i] > h[j] }
func (h idHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *idHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newBranchWalk(a *analysis) *branchWalk {
	n := len(a.tensors)
	w := &branchWalk{
		analysis: a, param: make([]bool, n), work: make([]bool, n), nonLinear: make([]bool, n),
		mask: make([]uint64, n), stamp: make([]int, n), plain: true, left: stepsPerTensor * n,
	}
	for id, t := range a.tensors {
		constant := func(i int) bool { return a.constant[t.In()[i].ID()] }
		if o := lazygraph.Op(t); o != nil {
			traits := o.Traits()
			w.param[id] = traits.Layer && constant(0) != constant(1)
			w.nonLinear[id] = traits.NonLinear
		}
		w.work[id] = w.param[id]
		for _, in := range t.In() {
			w.work[id] = w.work[id] || w.work[in.ID()]
		}
		if t.Kind() == lazy.KindInput && a.Nodes[id].Modality != ModalityNone {
			w.plain = false
		}
	}
	return w
}

// join looks for branches that end in tensor id.
func (w *branchWalk) join(id int) {
	t := w.tensors[id]
	if !w.work[id] {
		return // and so has none of its sides
	}
	tops := w.tops(nil, t, new(int))
	working := 0
	for _, top := range tops {
		if w.work[top.ID()] {
			working++
		}
	}
	if working < 2 || len(tops) > maxSides {
		return
	}
	w.now++
	w.sides, w.queue, w.fork, w.closed = w.sides[:0], w.queue[:0], false, 0
	for i, top := range tops {
		w.sides = append(w.sides, branchSide{top: top})
		w.reach(top, 1<<i)
	}
	if !w.walk() || w.fork && w.Nodes[id].Attention > 0 {
		return
	}
	var found []int
	for i := range w.sides {
		if w.substantial(i) {
			found = append(found, i)
		}
	}
	if len(found) < 2 {
		return
	}
	for _, i := range found {
		if slices.ContainsFunc(w.sides[i].nodes, func(n int) bool { return w.Nodes[n].Branch != 0 }) {
			return
		}
	}
	for _, i := range found {
		w.Branches = append(w.Branches, Branch{ID: len(w.Branches) + 1, Modality: w.Nodes[w.sides[i].top.ID()].Modality})
		for _, n := range w.sides[i].nodes {
			w.Nodes[n].Branch = len(w.Branches)
		}
	}
}

// tops lists the values that t joins. A sum of sums or a concat of concats
// joins all their terms, unless other tensors read the partial result. Attention
// joins queries and keys: the values are on the side of the keys.
func (w *branchWalk) tops(out []*lazy.Tensor, t *lazy.Tensor, depth *int) []*lazy.Tensor {
	for i, in := range t.In() {
		if i == 2 && is(t, "attention") {
			continue
		}
		if len(out) > maxSides || w.constant[in.ID()] || slices.Contains(out, in) {
			continue
		}
		same := (is(t, "add") || is(t, "concat")) && in.Op() != nil && in.Op().Name() == t.Op().Name()
		if same && len(w.readers[in.ID()]) == 1 && len(out) < maxSides && *depth < 4*maxSides {
			*depth++
			w.left--
			out = w.tops(out, in, depth)
			continue
		}
		out = append(out, in)
	}
	return out
}

// reach marks t as needed by the sides in mask. It queues tensors with
// parameterised work behind them and passes the few others at once.
func (w *branchWalk) reach(t *lazy.Tensor, mask uint64) {
	id := t.ID()
	if w.left--; w.constant[id] || w.left < 0 {
		return
	}
	fresh := w.stamp[id] != w.now
	if fresh {
		w.stamp[id], w.mask[id] = w.now, 0
	}
	before := w.mask[id]
	after := before | mask
	if before == after {
		return
	}
	w.mask[id] = after
	if !w.work[id] {
		shared := after&(after-1) != 0
		source := t.Kind() == lazy.KindInput && (w.plain && t.DType() == lazy.F32 && !w.carriedIn(t) || w.Nodes[id].Modality != ModalityNone)
		w.fork = w.fork || shared && source
		for _, in := range t.In() {
			w.reach(in, after)
		}
		return
	}
	switch {
	case fresh:
		heap.Push(&w.queue, id)
	case before&(before-1) == 0:
		w.sides[bits.TrailingZeros64(before)].open--
	default:
		return // already shared, and queued as such
	}
	if after&(after-1) == 0 {
		w.sides[bits.TrailingZeros64(after)].open++
		return
	}
	w.closed++
	w.fork = true
}

// walk goes back from the join, latest tensors first, until every side is
// known. It reports false as soon as fewer than two sides can be substantial.
func (w *branchWalk) walk() bool {
	for w.closed < len(w.queue) {
		if w.left -= len(w.sides); w.left < 0 {
			return false
		}
		alive := 0
		for i := range w.sides {
			if w.sides[i].open > 0 || w.plausible(i) {
				alive++
			}
		}
		if alive < 2 {
			return false
		}
		id := heap.Pop(&w.queue).(int)
		mask := w.mask[id]
		if mask&(mask-1) == 0 {
			s := &w.sides[bits.TrailingZeros64(mask)]
			s.nodes = append(s.nodes, id)
			s.open--
			s.params = s.params || w.param[id]
			s.nonLinear = s.nonLinear || w.nonLinear[id]
		} else {
			w.closed--
		}
		for _, in := range w.tensors[id].In() {
			w.reach(in, mask)
		}
	}
	return w.left >= 0
}

// plausible reports whether side i, as far as it is known, is more than a
// projection.
func (w *branchWalk) plausible(i int) bool {
	s := &w.sides[i]
	return s.params && (s.nonLinear || !w.fork && w.otherModality(i))
}

// substantial applies the rule of [branches] to side i.
func (w *branchWalk) substantial(i int) bool {
	return w.plausible(i) && (!w.fork || w.layered(&w.sides[i]))
}

// otherModality reports whether a sibling of side i has another modality.
func (w *branchWalk) otherModality(i int) bool {
	m := w.Nodes[w.sides[i].top.ID()].Modality
	for k := range w.sides {
		o := w.Nodes[w.sides[k].top.ID()].Modality
		if m != ModalityNone && o != ModalityNone && m != o && (w.sides[k].params || w.sides[k].open > 0) {
			return true
		}
	}
	return false
}

// layered reports whether a side has a nonlinearity between two parameterised
// layers.
func (w *branchWalk) layered(s *branchSide) bool {
	level := make(map[int]int, len(s.nodes))
	for _, id := range slices.Backward(s.nodes) {
		at := 0
		for _, in := range w.tensors[id].In() {
			at = max(at, level[in.ID()])
		}
		if w.param[id] && at%2 == 0 || w.nonLinear[id] && at == 1 {
			at++
		}
		if at == 3 {
			return true
		}
		level[id] = at
	}
	return false
}

// adoptIntoBranches assigns weights and other values that only one branch needs
// to that branch.
func (a *analysis) adoptIntoBranches() {
	if len(a.Branches) == 0 {
		return
	}
	outputs := map[int]bool{}
	for _, o := range a.Graph.Outputs() {
		outputs[o.Tensor.ID()] = true
	}
	for id := len(a.tensors) - 1; id >= 0; id-- {
		n := &a.Nodes[id]
		if n.Branch != 0 || outputs[id] || len(a.readers[id]) == 0 {
			continue
		}
		b := a.Nodes[a.readers[id][0].id].Branch
		for _, r := range a.readers[id] {
			if a.Nodes[r.id].Branch != b {
				b = 0
			}
		}
		n.Branch = b
	}
}

// numberBranches orders the branches by their first tensor.
func (a *analysis) numberBranches() {
	first := make([]int, len(a.Branches)+1)
	for id := range slices.Backward(a.tensors) {
		first[a.Nodes[id].Branch] = id
	}
	slices.SortFunc(a.Branches, func(x, y Branch) int { return cmp.Compare(first[x.ID], first[y.ID]) })
	to := make([]int, len(a.Branches)+1)
	for i := range a.Branches {
		to[a.Branches[i].ID] = i + 1
		a.Branches[i].ID = i + 1
	}
	for id := range a.Nodes {
		a.Nodes[id].Branch = to[a.Nodes[id].Branch]
	}
}

// hintBranches applies the hints and lists every branch's tensors.
func (a *analysis) hintBranches() error {
	for id, b := range a.hints.branch {
		for len(a.Branches) < b {
			a.Branches = append(a.Branches, Branch{ID: len(a.Branches) + 1})
		}
		a.Nodes[id].Branch = b
	}
	for id := range a.Nodes {
		if b := a.Nodes[id].Branch; b > 0 {
			a.Branches[b-1].Nodes = append(a.Branches[b-1].Nodes, id)
		}
	}
	return nil
}
