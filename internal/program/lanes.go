package program

import (
	"slices"

	"github.com/genie-sdk/go/transport/plan"
)

// minBranch is the number of products and convolutions from which a branch is
// worth running concurrently with another.
const minBranch = 4

// branches finds two independent parts of a program, such as the towers of a
// model with two kinds of input, and places their groups side by side: first
// those of the larger branch, then those of the other, then what needs both. It
// leaves programs with carried state unchanged, since only the order of the
// steps orders an in-place update after its readers.
func (p *Program) branches() {
	if len(p.plan.States) > 0 {
		return
	}
	part := p.parts()
	weight, products := map[int]int{}, map[int]int{}
	for i, c := range part {
		if g := &p.Groups[i]; c >= 0 && (g.Kind == Linear || g.Kind == Convolve) {
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
	// Groups that belong to neither of the two largest parts come with the
	// rest, after them. If one of the two needed such a group, it would be part
	// of it.
	place := func(i int) int {
		if k := slices.Index(large[:2], part[i]); k >= 0 {
			return k
		}
		return 2
	}
	order := make([]int, len(p.Groups))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return place(a) - place(b) })
	groups := make([]Group, 0, len(order))
	var count [3]int
	for _, i := range order {
		groups = append(groups, p.Groups[i])
		count[place(i)]++
	}
	p.Groups = groups
	p.Lanes = []span{{0, count[0]}, {count[0], count[0] + count[1]}}
}

// parts numbers the groups by the part that they are connected to through
// earlier groups. A group that joins two parts of some size, and all that needs
// it, has -1.
func (p *Program) parts() []int {
	writer := map[int]int{} // by root value
	root := make([]int, len(p.Groups))
	products := make([]int, len(p.Groups))
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]] // path compression
			i = root[i]
		}
		return i
	}
	for i := range p.Groups {
		g := &p.Groups[i]
		root[i] = i
		joins := []int{}
		after := false
		for _, k := range g.Steps {
			for _, v := range p.plan.Steps[k].In {
				w, ok := writer[p.Res.Base[v]]
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
			if g.Kind == Linear || g.Kind == Convolve {
				products[i]++
			}
		}
		for _, k := range g.Steps {
			writer[p.Res.Base[p.plan.Steps[k].Out]] = i
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
func (p *Program) weightSize(g *Group) int {
	n := 0
	for _, v := range g.In {
		if x := &p.plan.Values[v]; x.Kind == plan.KindWeight {
			if k, ok := x.Spec.Shape.Elements().Const(); ok {
				n += k
			}
		}
	}
	return n
}
