package emulator

import (
	"fmt"
	"slices"
)

// flow finds where the threads of a branch meet again, and which uses of
// registers are proved to come after a write.
func (d *decoder) flow() error {
	g := graphOf(d.k.code)
	if n := len(g.next) * (d.k.marks + 64) / 8; n > maxFlow {
		return fmt.Errorf("function %s: line %d: its %d blocks with %d registers take too long to analyse", d.f.name, d.f.line, len(g.next), d.k.marks)
	}
	g.reconverge(d.k.code)
	g.prove(d.k)
	return nil
}

// graph is the basic blocks of a function.
type graph struct {
	first []int32 // of each block, its first instruction; one more at the end
	next  [][]int32
	prev  [][]int32
	of    []int32 // of each instruction, its block
}

func graphOf(code []instruction) *graph {
	leads := make([]bool, len(code)+1)
	leads[0] = true
	for i := range code {
		switch code[i].action {
		case branch:
			leads[code[i].target], leads[i+1] = true, true
		case leave:
			leads[i+1] = true
		default:
		}
	}
	g := &graph{of: make([]int32, len(code))}
	for i := range code {
		if leads[i] {
			g.first = append(g.first, int32(i))
		}
		g.of[i] = int32(len(g.first) - 1)
	}
	n := len(g.first)
	g.first = append(g.first, int32(len(code)))
	g.next, g.prev = make([][]int32, n), make([][]int32, n)
	edge := func(from, to int32) {
		g.next[from] = append(g.next[from], to)
		g.prev[to] = append(g.prev[to], from)
	}
	for b := range n {
		in := &code[g.first[b+1]-1]
		if in.action == branch {
			edge(int32(b), g.of[in.target])
		}
		always := in.guard < 0 && (in.action == branch || in.action == leave)
		if !always && b+1 < n {
			edge(int32(b), int32(b+1))
		}
	}
	return g
}

// reconverge sets where the threads of each branch meet: its immediate
// post-dominator.
func (g *graph) reconverge(code []instruction) {
	n := int32(len(g.next))
	// Node n is the end: the predecessors of it are the blocks that leave.
	exits := []int32{}
	for b := range n {
		if code[g.first[b+1]-1].action == leave {
			exits = append(exits, b)
		}
	}
	order, rank := g.backward(exits)
	idom := make([]int32, n+1)
	for i := range idom {
		idom[i] = -1
	}
	idom[n] = n
	meet := func(a, b int32) int32 {
		for a != b {
			for rank[a] > rank[b] {
				a = idom[a]
			}
			for rank[b] > rank[a] {
				b = idom[b]
			}
		}
		return a
	}
	for changed := true; changed; {
		changed = false
		for _, b := range order {
			found := int32(-1)
			consider := func(s int32) {
				switch {
				case idom[s] < 0:
				case found < 0:
					found = s
				default:
					found = meet(found, s)
				}
			}
			for _, s := range g.next[b] {
				consider(s)
			}
			if code[g.first[b+1]-1].action == leave {
				consider(n)
			}
			if found != idom[b] {
				idom[b], changed = found, true
			}
		}
	}
	for b := range n {
		if in := &code[g.first[b+1]-1]; in.action == branch && idom[b] >= 0 && idom[b] < n {
			in.meet = g.first[idom[b]]
			if at := &code[in.meet]; at.action == leave && at.guard < 0 {
				in.meet = -1 // they leave each on its own
			}
		}
	}
}

// backward is the blocks that reach an end, in reverse postorder of the reversed
// graph, and the rank of each in it; the end's is 0.
func (g *graph) backward(exits []int32) (order, rank []int32) {
	n := int32(len(g.next))
	seen := make([]bool, n)
	type visit struct {
		block int32
		next  int
	}
	var post []int32
	for _, e := range exits {
		if seen[e] {
			continue
		}
		seen[e] = true
		stack := []visit{{block: e}}
		for len(stack) > 0 {
			v := &stack[len(stack)-1]
			if v.next == len(g.prev[v.block]) {
				post = append(post, v.block)
				stack = stack[:len(stack)-1]
				continue
			}
			p := g.prev[v.block][v.next]
			v.next++
			if !seen[p] {
				seen[p] = true
				stack = append(stack, visit{block: p})
			}
		}
	}
	rank = make([]int32, n+1)
	for _, b := range slices.Backward(post) {
		order = append(order, b)
		rank[b] = int32(len(order))
	}
	return order, rank
}
