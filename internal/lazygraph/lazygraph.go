// Package lazygraph is shared by package lazy and lazy/gorgonia, and is not
// accessible outside this module: the Gorgonia graph and nodes below a captured
// program, its operators as values of internal/op, and the adapter that makes a
// node from an operator.
//
// lazy embeds [Graph] and [Tensor] in its own types. Their method is
// unexported, so they do not show in the API of lazy, yet the functions of this
// package accept *lazy.Graph and *lazy.Tensor.
package lazygraph

import (
	"sync"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Graph is the part below a captured program.
type Graph struct {
	expr *gorgonia.ExprGraph
	wide widened
}

// NewGraph is an empty graph with a name.
func NewGraph(name string) Graph {
	return Graph{expr: gorgonia.NewGraph(gorgonia.WithGraphName(name))}
}

func (g *Graph) lazyGraph() *Graph { return g }

// Detach makes an empty graph one without Gorgonia nodes: [Expr] is nil, and so
// is [Node] of its tensors. It is for programs that are rewritten, not captured.
func Detach(g HasGraph) { g.lazyGraph().expr = nil }

// HasGraph is a *lazy.Graph.
type HasGraph interface{ lazyGraph() *Graph }

// Expr is the Gorgonia graph that g is captured on, nil if it is detached.
func Expr(g HasGraph) *gorgonia.ExprGraph { return g.lazyGraph().expr }

// Tensor is the part below a captured tensor.
type Tensor struct {
	op   op.Op
	node *gorgonia.Node
}

// NewTensor is the result of an operator; a leaf has no operator.
func NewTensor(o op.Op, n *gorgonia.Node) Tensor { return Tensor{o, n} }

func (t *Tensor) lazyTensor() *Tensor { return t }

// HasTensor is a *lazy.Tensor that is not nil.
type HasTensor interface{ lazyTensor() *Tensor }

// Op is the operator that computes t, nil for a leaf and for a tensor with an error.
func Op(t HasTensor) op.Op { return t.lazyTensor().op }

// Node is t's node of [Expr]; nil for a tensor with an error or of a detached
// graph.
func Node(t HasTensor) *gorgonia.Node { return t.lazyTensor().node }

// widened holds weights of a graph as float32.
type widened struct {
	mu sync.Mutex
	by map[plan.Hash][]float32
}

// Widened is the weight of g with the hash h as float32: the result of widen at
// the first call, cached as long as the graph lives.
func Widened(g HasGraph, h plan.Hash, widen func() ([]float32, error)) ([]float32, error) {
	w := &g.lazyGraph().wide
	w.mu.Lock()
	defer w.mu.Unlock()
	if v, ok := w.by[h]; ok {
		return v, nil
	}
	v, err := widen()
	if err != nil {
		return nil, err
	}
	if w.by == nil {
		w.by = map[plan.Hash][]float32{}
	}
	w.by[h] = v
	return v, nil
}
