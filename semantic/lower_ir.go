package semantic

import (
	"container/heap"
	"errors"
	"fmt"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport/plan"
)

// ErrPolicy is the cause of errors of policies and schedules.
var ErrPolicy = errors.New("genie: cannot plan")

// irNode is one value of a program during rewriting.
type irNode struct {
	src  *lazy.Tensor // the captured tensor whose value it has, nil if rewritten
	kind lazy.Kind
	op   op.Op
	in   []*irNode
	spec plan.Spec
	key  int // order of preference: position in the captured program
	seq  int
	ids  []int // captured tensors whose value it has in [irGraph.nodes]
	gone bool  // nothing reads it any more
}

// irGraph is the part of a program that one plan computes.
type irGraph struct {
	nodes   map[int]*irNode // by captured tensor id
	targets []*irNode
	wanted  map[*irNode][]int // positions of a node in targets
	seq     int
	// after orders side effects: the node comes after all of these.
	after map[*irNode][]*irNode
	back  bool                  // some of after goes against the order of capture
	users map[*irNode][]*irNode // of captured tensors, including former readers
}

func newIR() *irGraph {
	return &irGraph{nodes: map[int]*irNode{}, wanted: map[*irNode][]int{}, after: map[*irNode][]*irNode{}, users: map[*irNode][]*irNode{}}
}

// add adds t and everything it needs to the graph. leaf selects tensors that
// are inputs of this part although operators compute them.
func (g *irGraph) add(t *lazy.Tensor, leaf func(*lazy.Tensor) bool) *irNode {
	type frame struct {
		t    *lazy.Tensor
		next int
	}
	stack := []frame{{t: t}}
	for len(stack) > 0 {
		f := &stack[len(stack)-1]
		if _, ok := g.nodes[f.t.ID()]; ok {
			stack = stack[:len(stack)-1]
			continue
		}
		if f.t.Kind() == lazy.KindOp && !leaf(f.t) && f.next < len(f.t.In()) {
			f.next++
			stack = append(stack, frame{t: f.t.In()[f.next-1]})
			continue
		}
		n := g.node(f.t.ID())
		n.src, n.kind, n.spec = f.t, f.t.Kind(), f.t.Spec()
		if n.kind == lazy.KindOp && !leaf(f.t) {
			n.op = lazygraph.Op(f.t)
			in := make([]*irNode, len(f.t.In()))
			for i, x := range f.t.In() {
				in[i] = g.nodes[x.ID()]
			}
			g.reads(n, in)
		}
		g.nodes[f.t.ID()], n.ids = n, []int{f.t.ID()}
		stack = stack[:len(stack)-1]
	}
	return g.nodes[t.ID()]
}

func (g *irGraph) node(key int) *irNode {
	g.seq++
	return &irNode{key: key, seq: g.seq}
}

// target adds n to what the plan must compute.
func (g *irGraph) target(n *irNode) {
	if len(g.wanted[n]) == 0 {
		g.wanted[n] = []int{len(g.targets)}
		g.targets = append(g.targets, n)
	}
}

// order is a topological order of what the targets need, close to the order of
// capture. false means that the extra edges form a cycle.
func (g *irGraph) order() ([]*irNode, bool) {
	need := map[*irNode]bool{}
	stack := append([]*irNode(nil), g.targets...)
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !need[n] {
			need[n] = true
			stack = append(stack, n.in...)
		}
	}
	waits := map[*irNode]int{}
	users := map[*irNode][]*irNode{}
	for n := range need {
		for _, in := range append(append([]*irNode(nil), n.in...), g.after[n]...) {
			if need[in] {
				waits[n]++
				users[in] = append(users[in], n)
			}
		}
	}
	var ready irHeap
	for n := range need {
		if waits[n] == 0 {
			ready = append(ready, n)
		}
	}
	heap.Init(&ready)
	out := make([]*irNode, 0, len(need))
	for ready.Len() > 0 {
		n := heap.Pop(&ready).(*irNode)
		out = append(out, n)
		for _, u := range users[n] {
			if waits[u]--; waits[u] == 0 {
				heap.Push(&ready, u)
			}
		}
	}
	return out, len(out) == len(need)
}

type irHeap []*irNode

func (h irHeap) Len() int { return len(h) }
func (h irHeap) Less(i, j int) bool {
	if h[i].key != h[j].key {
		return h[i].key < h[j].key
	}
	return h[i].seq < h[j].seq
}
func (h irHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *irHeap) Push(x any) { *h = append(*h, x.(*irNode)) }

// Pop implements heap.Interface.
func (h *irHeap) Pop() any {
	old := *h
	n := old[len(old)-1]
	*h = old[:len(old)-1]
	return n
}

func planErr(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrPolicy}, args...)...)
}
