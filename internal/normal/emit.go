package normal

import (
	"fmt"
	"slices"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
)

// emit makes a program of the values that captured tensors have, and of what
// these need.
func (f *forming) emit() (*lazy.Graph, []*lazy.Tensor, error) {
	g := lazy.NewGraph(f.g.Name())
	lazygraph.Detach(g)
	g.SetModel(f.g.Model())
	need := make([]bool, len(f.b.nodes))
	for _, n := range f.of {
		need[n.seq] = true
	}
	for i, n := range slices.Backward(f.b.nodes) {
		if need[i] {
			for _, x := range n.in {
				need[x.seq] = true
			}
		}
	}
	for i, n := range f.b.nodes {
		if !need[i] {
			continue
		}
		var err error
		if n.out, err = emitNode(g, f.g, n); err != nil {
			return nil, nil, fmt.Errorf("normal form of %q: %w", f.g.Name(), err)
		}
	}
	to := make([]*lazy.Tensor, len(f.of))
	for id, n := range f.of {
		to[id] = n.out
	}
	for _, o := range f.g.Outputs() {
		g.Output(o.Name, to[o.Tensor.ID()])
	}
	for _, c := range f.g.Carries() {
		g.Carry(to[c.In.ID()], to[c.Out.ID()])
	}
	return g, to, g.Err()
}

// emitNode adds one value to g.
func emitNode(g, captured *lazy.Graph, n *node) (t *lazy.Tensor, err error) {
	switch {
	case n.constant:
		shape, _ := static(n.spec.Shape)
		t = g.ConstBytes(n.spec.DType, n.data, shape...)
	case n.isWeight():
		hash, _ := n.leaf.WeightRef()
		w, err := captured.Weight(hash)
		if err != nil {
			return nil, err
		}
		w.Name = n.leaf.Name()
		t = g.AddWeight(w)
	case n.isInput():
		dims := make([]any, n.rank())
		for i, d := range n.spec.Shape {
			dims[i] = d
		}
		t = g.Input(n.leaf.Name(), n.spec.DType, dims...)
	case n.is("range"):
		r := n.op.(op.Range)
		t = g.Range(r.DType, r.Start, r.Step, r.Length)
	default:
		in := make([]*lazy.Tensor, len(n.in))
		for i, x := range n.in {
			in[i] = x.out
		}
		t = g.Apply(n.op, in...)
	}
	return t, t.Err()
}
