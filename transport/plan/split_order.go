package plan

import "slices"

// before lists the groups of steps that the group of each step reads from,
// without itself.
func (s *splitter) before() [][]int {
	out := make([][]int, len(s.p.Steps))
	for i := range s.p.Steps {
		g := s.find(i)
		for _, v := range s.p.Steps[i].In {
			if j := s.of[v]; j >= 0 && s.find(j) != g {
				out[g] = append(out[g], s.find(j))
			}
		}
	}
	for g := range out {
		slices.Sort(out[g])
		out[g] = slices.Compact(out[g])
	}
	return out
}

// cycles finds groups that wait for each other: a strongly connected component
// of more than one (Tarjan). group gives each step one of its component; again
// is false when there is none.
func (s *splitter) cycles() (group []int, again bool) {
	t := tarjan{before: s.before(), index: make([]int, len(s.p.Steps)), low: make([]int, len(s.p.Steps)), onStack: make([]bool, len(s.p.Steps))}
	t.group = counted(len(s.p.Steps))
	for i := range s.p.Steps {
		if g := s.find(i); g == i && t.index[g] == 0 {
			t.visit(g)
		}
	}
	return t.group, t.found
}

// tarjan finds strongly connected components, without recursion: chains of steps
// are long.
type tarjan struct {
	before     [][]int
	index, low []int // from 1
	onStack    []bool
	stack      []int
	count      int
	group      []int
	found      bool
}

// frame is a group that is being visited, and the next of those before it.
type frame struct{ at, next int }

func (t *tarjan) visit(root int) {
	work := []frame{{at: root}}
	t.enter(root)
	for len(work) > 0 {
		f := &work[len(work)-1]
		if f.next < len(t.before[f.at]) {
			to := t.before[f.at][f.next]
			f.next++
			switch {
			case t.index[to] == 0:
				t.enter(to)
				work = append(work, frame{at: to})
			case t.onStack[to]:
				t.low[f.at] = min(t.low[f.at], t.index[to])
			}
			continue
		}
		at := f.at
		work = work[:len(work)-1]
		if len(work) > 0 {
			up := work[len(work)-1].at
			t.low[up] = min(t.low[up], t.low[at])
		}
		if t.low[at] == t.index[at] {
			t.leave(at)
		}
	}
}

func (t *tarjan) enter(g int) {
	t.count++
	t.index[g], t.low[g] = t.count, t.count
	t.stack, t.onStack[g] = append(t.stack, g), true
}

// leave takes a component from the stack.
func (t *tarjan) leave(root int) {
	for {
		g := t.stack[len(t.stack)-1]
		t.stack, t.onStack[g] = t.stack[:len(t.stack)-1], false
		t.group[g] = root
		if g == root {
			return
		}
		t.found = true
	}
}

// rounds gives each step the longest chain of device changes before it. Steps
// are in an order in which they can run, but groups of them need not be: the
// rounds are those of the groups, from their inputs on.
func (s *splitter) rounds() {
	before := s.before()
	waits := make([]int, len(before)) // groups before that have no round yet
	after := make([][]int, len(before))
	var next []int
	for i := range s.p.Steps {
		if s.find(i) != i {
			continue
		}
		waits[i] = len(before[i])
		for _, b := range before[i] {
			after[b] = append(after[b], i)
		}
		if waits[i] == 0 {
			next = append(next, i)
		}
	}
	round := make([]int, len(before))
	for len(next) > 0 {
		g := next[len(next)-1]
		next = next[:len(next)-1]
		for _, b := range before[g] {
			r := round[b]
			if s.device[b] != s.device[g] {
				r++
			}
			round[g] = max(round[g], r)
		}
		for _, a := range after[g] {
			if waits[a]--; waits[a] == 0 {
				next = append(next, a)
			}
		}
	}
	s.ready = make([]int, len(s.p.Steps))
	for i := range s.ready {
		s.ready[i] = round[s.find(i)]
	}
}
