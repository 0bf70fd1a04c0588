package gorgonia

import (
	"fmt"

	"gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/genie-sdk/go/internal/lazygraph"
	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/lazy"
	"github.com/genie-sdk/go/transport"
	"github.com/genie-sdk/go/transport/plan"
)

// Instance is a program with concrete shapes on a separate Gorgonia graph,
// which ToDot and Gorgonia's machines accept. Its operators run the reference
// kernels.
type Instance struct {
	*gorgonia.ExprGraph

	nodes map[*lazy.Tensor]*gorgonia.Node
	sizes plan.Bindings
	salt  int
}

// Instantiate binds the symbolic dimensions and builds the concrete graph.
// Weights and constants have their values; inputs get theirs from
// [Instance.Feed]. Errors: a symbol without a size, a capture error, a slice
// outside its tensor.
func Instantiate(g *lazy.Graph, sizes plan.Bindings) (*Instance, error) {
	if g.Err() != nil {
		return nil, g.Err()
	}
	for salt := range maxSalts {
		inst := &Instance{
			ExprGraph: gorgonia.NewGraph(gorgonia.WithGraphName(g.Name())),
			nodes:     make(map[*lazy.Tensor]*gorgonia.Node, len(g.Tensors())), sizes: sizes, salt: salt,
		}
		for _, t := range g.Tensors() {
			n, err := inst.add(t)
			if err != nil {
				return nil, fmt.Errorf("instantiate %v: %w", t, err)
			}
			inst.nodes[t] = n
		}
		if distinctHashes(inst.ExprGraph) {
			return inst, nil
		}
	}
	return nil, errHashes
}

// Gorgonia's compiler merges two nodes with the same 32-bit hash. Hashes begin
// with the names of the leaves, so another prefix there gives all nodes other
// hashes.
const maxSalts = 8

var errHashes = fmt.Errorf("%w: the hashes of two nodes agree, whatever the names", lazy.ErrCapture)

func distinctHashes(g *gorgonia.ExprGraph) bool {
	seen := make(map[uint32]bool, len(g.AllNodes()))
	for _, n := range g.AllNodes() {
		h := n.Hashcode()
		if seen[h] {
			return false
		}
		seen[h] = true
	}
	return true
}

// leafName is unique in the graph; a salt above zero comes first.
func leafName(t *lazy.Tensor, salt int) string {
	if salt == 0 {
		return fmt.Sprintf("%d:%s", t.ID(), t.Name())
	}
	return fmt.Sprintf("%d:%d:%s", salt, t.ID(), t.Name())
}

func (inst *Instance) add(t *lazy.Tensor) (*gorgonia.Node, error) {
	shape, err := t.Shape().Eval(inst.sizes)
	if err != nil {
		return nil, err
	}
	if lazygraph.Op(t) == nil {
		n := lazygraph.NewLeaf(inst.ExprGraph, t.DType(), leafName(t, inst.salt), shape)
		return n, inst.letLeaf(t, n, shape)
	}
	bound, err := op.Bind(lazygraph.Op(t), inst.sizes)
	if err != nil {
		return nil, err
	}
	in := make([]plan.Spec, len(t.In()))
	kids := make([]*gorgonia.Node, len(t.In()))
	for i, x := range t.In() {
		kids[i] = inst.nodes[x]
		in[i] = plan.Spec{DType: x.DType(), Shape: op.Static(kids[i].Shape())}
	}
	out, err := bound.Infer(in)
	if err != nil {
		return nil, err
	}
	return lazygraph.Apply(inst.ExprGraph, lazygraph.NewOp(bound, uint32(t.ID()), in, out, tensor.Shape(shape)), kids...)
}

func (inst *Instance) letLeaf(t *lazy.Tensor, n *gorgonia.Node, shape []int) error {
	switch t.Kind() {
	case lazy.KindWeight:
		w, err := t.Graph().Weight(weightHash(t))
		if err != nil {
			return err
		}
		v, err := weightValue(w)
		if err != nil {
			return err
		}
		return gorgonia.Let(n, v)
	case lazy.KindConst:
		return inst.let(n, transport.Tensor{DType: t.DType(), Shape: shape, Data: t.ConstData()})
	case lazy.KindOp, lazy.KindInput:
	}
	return nil
}

func (inst *Instance) let(n *gorgonia.Node, x transport.Tensor) error {
	a := op.NewArray(x.DType, x.Shape...)
	if copy(a.Data, x.Data) != len(a.Data) || len(a.Data) != len(x.Data) {
		return fmt.Errorf("%w: %d bytes for %v%v", lazy.ErrShape, len(x.Data), x.DType, x.Shape)
	}
	v, err := lazygraph.ValueOf(a)
	if err != nil {
		return err
	}
	return gorgonia.Let(n, v)
}

// Node is the concrete node of a captured tensor, nil if it is of another
// graph.
func (inst *Instance) Node(t *lazy.Tensor) *gorgonia.Node { return inst.nodes[t] }

// Feed gives an input its value.
func (inst *Instance) Feed(t *lazy.Tensor, x transport.Tensor) error {
	n := inst.nodes[t]
	if n == nil || t.Kind() != lazy.KindInput {
		return fmt.Errorf("%w: feed of something that is no input of this graph", lazy.ErrCapture)
	}
	if x.DType != t.DType() {
		return fmt.Errorf("%w: input %q is %v, got %v", lazy.ErrDType, t.Name(), t.DType(), x.DType)
	}
	if !n.Shape().Eq(tensor.Shape(x.Shape)) {
		return fmt.Errorf("%w: input %q wants %v%v, got %v%v", lazy.ErrShape, t.Name(), t.DType(), n.Shape(), x.DType, x.Shape)
	}
	return inst.let(n, x)
}

// Value reads a node's value after a machine has run.
func (inst *Instance) Value(t *lazy.Tensor) (transport.Tensor, error) {
	n := inst.nodes[t]
	if n == nil || n.Value() == nil {
		return transport.Tensor{}, fmt.Errorf("%w: %v has no value", lazy.ErrCapture, t)
	}
	a, err := lazygraph.ArrayOf(n.Value())
	if err != nil {
		return transport.Tensor{}, err
	}
	return transport.Tensor{DType: a.DType, Shape: a.Shape, Data: append([]byte(nil), a.Data...)}, nil
}
