package program

import (
	"slices"
)

// Bounds of an elementwise group: what its kernel works on is to stay in the
// first cache.
const (
	// MaxElementwise is the number of steps.
	MaxElementwise = 16
	// MaxOperands is the number of inputs of more than one element.
	MaxOperands = 5
	// MaxScalars is the number of inputs of one element.
	MaxScalars = 12
)

// region is steps that may become an elementwise group.
type region struct {
	f       *fuser
	steps   []int
	outside map[int]int // by value that a step computes: readers that are not in the region
	open    int         // their sum
	readers []int       // steps that may be added, in order
	operand []int       // values that the steps read, of more than one element
	scalars []int       // the others
}

// elementwise is step i and elementwise steps of its shape after it, as many as
// leave one value that something else reads.
func (f *fuser) elementwise(i int) (Group, bool) {
	r := region{f: f, outside: map[int]int{}}
	if !f.elementary(i) || !r.add(i) {
		return Group{}, false
	}
	best := r.group()
	for len(r.steps) < MaxElementwise {
		next := r.next()
		if next < 0 || !r.add(next) {
			break
		}
		if r.open == r.outside[f.p.Steps[next].Out] {
			if g := r.group(); f.movable(g) {
				best = g
			}
		}
	}
	return best, len(best.Steps) > 1
}

// elementary reports whether step i may be part of an elementwise group.
func (f *fuser) elementary(i int) bool {
	if f.opts.Elementwise == nil || f.opts.Separate || f.taken[i] || f.res.View[i] || !f.res.Ops[i].Traits().Pointwise {
		return false
	}
	s := &f.p.Steps[i]
	return len(s.In) > 0 && f.res.Base[s.Out] == s.Out && f.opts.Elementwise(f.res.Ops[i], inputs(f.p, i))
}

// add adds a step, unless the region has too many inputs then.
func (r *region) add(i int) bool {
	s := &r.f.p.Steps[i]
	seen := len(r.operand) + len(r.scalars)
	for j, v := range s.In {
		if slices.Contains(s.In[:j], v) {
			continue
		}
		if _, inside := r.outside[v]; inside {
			r.outside[v]--
			r.open--
			continue
		}
		list := &r.operand
		if r.f.p.Values[v].Spec.Shape.Elements().Is(1) {
			list = &r.scalars
		}
		if !slices.Contains(*list, v) {
			*list = append(*list, v)
		}
	}
	r.steps = append(r.steps, i)
	r.outside[s.Out] = len(r.f.readers[s.Out])
	if r.f.leaves[s.Out] {
		r.outside[s.Out]++
	}
	r.open += r.outside[s.Out]
	// A value with more readers than a group has steps is not inside of one.
	if readers := r.f.readers[s.Out]; len(readers) <= MaxElementwise {
		for _, t := range readers {
			if at, found := slices.BinarySearch(r.readers, t); !found {
				r.readers = slices.Insert(r.readers, at, t)
			}
		}
	}
	return seen == 0 || len(r.operand) <= MaxOperands && len(r.scalars) <= MaxScalars
}

// next is the first step that reads a value of the region and may be added, -1 for
// none.
func (r *region) next() int {
	shape := r.f.p.Values[r.f.p.Steps[r.steps[0]].Out].Spec.Shape
	for len(r.readers) > 0 {
		t := r.readers[0]
		r.readers = r.readers[1:]
		if r.f.elementary(t) && r.f.p.Values[r.f.p.Steps[t].Out].Spec.Shape.Equal(shape) {
			return t
		}
	}
	return -1
}

// group is the region's steps as a group.
func (r *region) group() Group {
	g := Group{Kind: Elementwise, Steps: slices.Clone(r.steps), In: slices.Concat(r.operand, r.scalars), Operands: len(r.operand)}
	slices.Sort(g.Steps)
	g.Out = r.f.p.Steps[g.Last()].Out
	return g
}

// pending reports whether a group of one step may be joined by others later.
func (f *fuser) pending(g *Group) bool {
	return g.Kind == Single && len(g.Steps) == 1 && f.elementary(g.Steps[0])
}

// findLeaves fills readers and leaves.
func (f *fuser) findLeaves() {
	f.readers, f.leaves = make([][]int, len(f.p.Values)), make([]bool, len(f.p.Values))
	for i, s := range f.p.Steps {
		for j, v := range s.In {
			if !slices.Contains(s.In[:j], v) {
				f.readers[v] = append(f.readers[v], i)
			}
		}
	}
	for _, o := range f.p.Outputs {
		f.leaves[o.Value] = true
	}
	for _, s := range f.p.States {
		f.leaves[s.Out] = true
	}
}
