package lazy

import (
	"errors"
	"fmt"

	"gorgonia.org/gorgonia"

	"github.com/genie-sdk/go/internal/op"
	"github.com/genie-sdk/go/transport/plan"
)

// Tensor is a lazy tensor: a handle on a node of a captured program. The nil
// tensor is an error, not a panic.
type Tensor struct {
	g       *Graph
	id      int
	kind    Kind
	name    string // leaves
	spec    plan.Spec
	node    *gorgonia.Node
	op      op.Op // KindOp
	in      []*Tensor
	hash    plan.Hash  // KindWeight
	storage plan.DType // KindWeight
	data    []byte     // KindConst
	err     error
}

var errNil = fmt.Errorf("%w: nil tensor", ErrCapture)

// none stands in for the nil tensor.
var none = &Tensor{id: -1, err: errNil}

func (t *Tensor) orZero() *Tensor {
	if t == nil {
		return none
	}
	return t
}

// Err is the error that sticks to t, or nil.
func (t *Tensor) Err() error {
	if t == nil {
		return errNil
	}
	return t.err
}

// Graph is the program that t belongs to.
func (t *Tensor) Graph() *Graph { return t.orZero().g }

// Node is t's node of [Graph.ExprGraph]; nil for a tensor with an error.
func (t *Tensor) Node() *gorgonia.Node { return t.orZero().node }

// ID is t's position in [Graph.Tensors]; -1 for a tensor with an error.
func (t *Tensor) ID() int { return t.orZero().id }

// Kind says whether t is a leaf, and which.
func (t *Tensor) Kind() Kind { return t.orZero().kind }

// Name is the name of a leaf, empty for results of operators.
func (t *Tensor) Name() string { return t.orZero().name }

// Spec is the element type and shape.
func (t *Tensor) Spec() plan.Spec { return t.orZero().spec }

// DType is the element type.
func (t *Tensor) DType() plan.DType { return t.orZero().spec.DType }

// Shape is the shape, outermost dimension first.
func (t *Tensor) Shape() plan.Shape { return t.orZero().spec.Shape }

// Dim is the size of axis i; negative axes count from the last. An axis that
// is not there has size 0.
func (t *Tensor) Dim(i int) plan.Dim {
	if t == nil {
		return plan.Dim{}
	}
	if i < 0 {
		i += len(t.spec.Shape)
	}
	if i < 0 || i >= len(t.spec.Shape) {
		return plan.Dim{}
	}
	return t.spec.Shape[i]
}

// Operator names the operator that computes t and gives its attributes;
// a leaf has the empty name.
func (t *Tensor) Operator() (string, plan.Attrs) {
	if t == nil || t.op == nil {
		return "", nil
	}
	return t.op.Name(), t.op.Attrs()
}

// Op is the operator that computes t, nil for a leaf.
func (t *Tensor) Op() op.Op { return t.orZero().op }

// In lists the operator's inputs.
func (t *Tensor) In() []*Tensor { return t.orZero().in }

// WeightRef is the content hash and the storage type of a weight.
func (t *Tensor) WeightRef() (plan.Hash, plan.DType) {
	t = t.orZero()
	return t.hash, t.storage
}

// ConstData is the content of a constant, little-endian.
func (t *Tensor) ConstData() []byte { return t.orZero().data }

// String names the tensor for people.
func (t *Tensor) String() string {
	switch {
	case t == nil:
		return "<nil tensor>"
	case t.err != nil:
		return "<" + t.err.Error() + ">"
	case t.op != nil:
		return fmt.Sprintf("%%%d %s %v", t.id, t.op.Name(), t.spec)
	}
	return fmt.Sprintf("%%%d %q %v", t.id, t.name, t.spec)
}

func specs(in []*Tensor) []plan.Spec {
	s := make([]plan.Spec, len(in))
	for i, t := range in {
		if t != nil {
			s[i] = t.spec
		}
	}
	return s
}

func check(g *Graph, t *Tensor) error {
	switch {
	case t == nil:
		return errNil
	case t.err != nil:
		return t.err
	case t.g != g:
		return fmt.Errorf("%w: tensors of two graphs", ErrCapture)
	}
	return nil
}

// Apply adds an operator. The typed functions of this package call it; it is
// exported for operators that are made elsewhere in this module.
func Apply(o op.Op, in ...*Tensor) *Tensor {
	var g *Graph
	for _, t := range in {
		if t != nil && t.g != nil {
			g = t.g
			break
		}
	}
	if g == nil {
		err := fmt.Errorf("%w: no input belongs to a graph", ErrCapture)
		for _, t := range in {
			err = errors.Join(err, t.Err())
		}
		return g.fail(o.Name(), in, err)
	}
	for _, t := range in {
		if err := check(g, t); err != nil {
			return g.fail(o.Name(), in, err)
		}
	}
	ss := g.specs[:0]
	for _, t := range in {
		ss = append(ss, t.spec)
	}
	g.specs = ss
	spec, err := o.Infer(ss)
	if err == nil && len(spec.Shape) > plan.MaxRank {
		err = fmt.Errorf("%w: rank %d, the limit is %d", ErrShape, len(spec.Shape), plan.MaxRank)
	}
	for _, d := range spec.Shape {
		if err == nil && d.Err() != nil {
			err = fmt.Errorf("%w: %w", ErrShape, d.Err())
		}
	}
	if err != nil {
		return g.fail(o.Name(), in, err)
	}
	node, err := g.applyNode(o, in, ss, spec)
	if err != nil {
		return g.fail(o.Name(), in, err)
	}
	t := &Tensor{g: g, id: len(g.tensors), op: o, in: in, spec: spec, node: node}
	g.tensors = append(g.tensors, t)
	return t
}
