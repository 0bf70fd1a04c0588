package engine

import (
	"context"
	"slices"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// span is a range of groups, the end not included.
type span struct{ from, to int }

// minBranch is the number of products and convolutions that make a branch worth
// being run apart from another.
const minBranch = 4

// branches finds two parts of a program that read nothing of each other, such
// as the towers of a model with two kinds of input, and puts their groups side
// by side: first those of the larger branch, then those of the other, then what
// needs both. Programs with carried state are left as they are, since an update
// in place is ordered after its readers by nothing but the order of the steps.
func (p *Program) branches() {
	if len(p.plan.States) > 0 {
		return
	}
	part := p.parts()
	weight, products := map[int]int{}, map[int]int{}
	for i, c := range part {
		if g := &p.groups[i]; c >= 0 && (g.kind == linear || g.kind == convolve) {
			products[c]++
			weight[c] += p.weightSize(g)
		}
	}
	var large []int
	for c, n := range products {
		if n >= minBranch {
			large = append(large, c)
		}
	}
	if len(large) < 2 {
		return
	}
	slices.SortFunc(large, func(a, b int) int {
		if weight[a] != weight[b] {
			return weight[b] - weight[a]
		}
		return a - b
	})
	// What belongs to neither of the two largest goes with the rest, behind
	// them, unless one of them needs it, and then it would be part of it.
	place := func(i int) int {
		if k := slices.Index(large[:2], part[i]); k >= 0 {
			return k
		}
		return 2
	}
	order := make([]int, len(p.groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return place(a) - place(b) })
	groups := make([]group, 0, len(order))
	var count [3]int
	for _, i := range order {
		groups = append(groups, p.groups[i])
		count[place(i)]++
	}
	p.groups = groups
	p.lanes = []span{{0, count[0]}, {count[0], count[0] + count[1]}}
}

// parts numbers the groups by what they are connected with through the groups
// before them. A group that joins two parts of some size, and all that needs
// it, has -1.
func (p *Program) parts() []int {
	writer := map[int]int{} // by root value
	root := make([]int, len(p.groups))
	products := make([]int, len(p.groups))
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]] // so that the next one finds it sooner
			i = root[i]
		}
		return i
	}
	for i := range p.groups {
		g := &p.groups[i]
		root[i] = i
		joins := []int{}
		after := false
		for _, k := range g.steps {
			for _, v := range p.plan.Steps[k].In {
				w, ok := writer[p.res.Base[v]]
				if !ok {
					continue
				}
				if root[w] < 0 {
					after = true
				} else if r := find(w); !slices.Contains(joins, r) {
					joins = append(joins, r)
				}
			}
		}
		large := slices.DeleteFunc(slices.Clone(joins), func(r int) bool { return products[r] < minBranch })
		if after || len(large) > 1 {
			root[i] = -1
		} else {
			for _, r := range joins {
				root[r] = i
				products[i] += products[r]
			}
			if g.kind == linear || g.kind == convolve {
				products[i]++
			}
		}
		for _, k := range g.steps {
			writer[p.res.Base[p.plan.Steps[k].Out]] = i
		}
	}
	out := make([]int, len(root))
	for i := range root {
		out[i] = -1
		if root[i] >= 0 {
			out[i] = find(i)
		}
	}
	return out
}

// weightSize is the number of elements of a group's weights.
func (p *Program) weightSize(g *group) int {
	n := 0
	for _, v := range g.in {
		if x := &p.plan.Values[v]; x.Kind == plan.KindWeight {
			if k, ok := x.Spec.Shape.Elements().Const(); ok {
				n += k
			}
		}
	}
	return n
}

// laneOf is the branch that a group is in, or the number of branches.
func (p *Program) laneOf(g int) int {
	for i, l := range p.lanes {
		if g >= l.from && g < l.to {
			return i
		}
	}
	return len(p.lanes)
}

// assign gives values scratch buffers. Branches run at one time, so they share
// none.
func (p *Program) assign(lives []op.Lifetime) (buffers []int, n int) {
	if len(p.lanes) == 0 {
		return op.AssignBuffers(p.plan, lives)
	}
	buffers = make([]int, len(lives))
	for lane := range len(p.lanes) + 1 {
		var own []op.Lifetime
		var at []int
		for i, l := range lives {
			if p.laneOf(l.Def) == lane {
				own, at = append(own, l), append(at, i)
			}
		}
		assigned, count := op.AssignBuffers(p.plan, own)
		for i, b := range assigned {
			buffers[at[i]] = n + b
		}
		n += count
	}
	return buffers, n
}

// sideBySide is the branches of a run in progress.
type sideBySide struct {
	call *Call
	ctx  context.Context //nolint:containedctx // of the run, like the rest; cleared after it
	step step
	job  *job
	at   []int // by branch: the group that runs, or its end
	errs []error
}

func newSideBySide(p *Program) *sideBySide {
	if len(p.lanes) == 0 {
		return nil
	}
	s := &sideBySide{job: newJob(), at: make([]int, len(p.lanes)), errs: make([]error, len(p.lanes))}
	s.step.side = s
	return s
}

// run runs the branches, each on a thread of its own as long as there is one.
// While both run neither finds a helper, and the one that is left finds the
// other's. It returns the first group that did not run, which is the one that
// failed if there is an error.
func (s *sideBySide) run(ctx context.Context, c *Call) (int, error) {
	s.call, s.ctx = c, ctx
	defer func() { s.call, s.ctx = nil, nil }()
	for i, l := range c.b.prog.lanes {
		s.at[i], s.errs[i] = l.from, nil
	}
	c.s.e.pool.run(s.job, &s.step, len(s.at), 1, sideChunk)
	for i, err := range s.errs {
		if err != nil {
			return s.at[i], err
		}
	}
	return c.b.prog.lanes[len(s.at)-1].to, nil
}

func sideChunk(s *step, lo, hi int) {
	for i := lo; i < hi; i++ {
		s.side.errs[i] = s.side.lane(i)
	}
}

// lane runs the groups of a branch in order.
func (s *sideBySide) lane(i int) error {
	for end := s.call.b.prog.lanes[i].to; s.at[i] < end; s.at[i]++ {
		if err := s.call.group(s.ctx, s.at[i]); err != nil {
			return err
		}
	}
	return nil
}
